"""Queries and gallery among themselves: each row's nearest rows and its lowest score, every pair scored once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.engine import FAST_FROM, Engine
from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.gallery import Gallery
from sysu30k_bench.search.graph.both_sides import BothSides
from sysu30k_bench.search.graph.estimate import say_estimate
from sysu30k_bench.search.graph.graph_file import read_state, write_state
from sysu30k_bench.search.graph.neighbours import KEEP_SECONDS, part_rows_for
from sysu30k_bench.search.score import pair_scores
from sysu30k_bench.search.search import block_rows_for


class QueryAndGallery:
    """Queries and gallery as one gallery, queries first.

    Args:
        queries: (Q, D).
        gallery: The rest.
    """

    def __init__(self, queries: np.ndarray, gallery: Gallery) -> None:
        self._queries, self._gallery = queries, gallery

    def __len__(self) -> int:
        return len(self._queries) + len(self._gallery)

    def blocks(self, rows: int, done: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """See `Gallery`."""
        count = len(self._queries)
        for start in range(done, count, rows):
            yield start, self._queries[start : min(start + rows, count)]
        for start, block in self._gallery.blocks(rows, max(0, done - count)):
            yield start + count, block

    def share(self, done: int = 0) -> int:
        """See `Gallery`."""
        return len(self) - done

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """See `Gallery`."""
        inside = positions < len(self._queries)
        out = np.empty((len(positions), self._queries.shape[1]), np.float32)
        out[inside] = self._queries[positions[inside]]
        out[~inside] = self._gallery.rows(positions[~inside] - len(self._queries))
        return out

    def name(self, position: int) -> str:
        """See `Gallery`."""
        count = len(self._queries)
        return f"query {position}" if position < count else self._gallery.name(position - count)

    def spans(self) -> Iterator[np.ndarray]:
        """Yields positions of consecutive rows that fit in memory."""
        length = part_rows_for(self._queries.shape[1])
        for start in range(0, len(self), length):
            yield np.arange(start, min(start + length, len(self)))

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (positions, (P, D) float32 embeddings) of consecutive rows that fit in memory."""
        for rows in self.spans():
            yield rows, self.rows(rows)


@dataclass(frozen=True)
class Known:
    """What is known of every row.

    Attributes:
        nearest: (N, K) int64, the rows nearest to each: itself first, whatever ties with it.
        scores: (N, K) float64, their scores.
        lowest: (N,) float64, the lowest score with any row.
    """

    nearest: np.ndarray
    scores: np.ndarray
    lowest: np.ndarray


def compare_all(
    together: QueryAndGallery,
    engine: Engine,
    width: int,
    memory: int,
    progress: Progress,
    keep: Path | None = None,
    unit_tolerance: float | None = None,
) -> Known:
    """Compares every row with all others.

    Args:
        together: The rows.
        engine: The filter.
        width: K, at most the number of rows.
        memory: Bytes for blocks.
        progress: Told of rows that parts were compared with, and of an estimate of the time before the work starts.
        keep: A file for what is done, from which another call resumes. Its name must stand for the rows and K.
        unit_tolerance: Refuse rows whose norm differs from 1 by more; None takes rows of any length.

    Raises:
        IntegrityError: A row is zero, NaN, infinite or not of unit length, or the file cannot be of this work.
    """
    count = len(together)
    others, lowest = TopK(count, max(1, width - 1)), TopK(count, 1)
    done = 0 if keep is None else read_state(keep, sum(1 for _ in together.spans()), others, lowest) or 0
    itself = np.empty(count)
    sides: BothSides | None = None
    progress.begin("neighbours", sum(count - int(rows[0]) for rows in together.spans()), "comparisons")
    written = time.monotonic()
    for number, (rows, values) in enumerate(together.parts(), 1):
        itself[rows] = pair_scores(values, values)
        if number > done:
            if sides is None:
                pairs = sum(len(left) * (count - int(left[0])) for left in islice(together.spans(), done, None))
                start = 0 if done else len(rows) * count
                say_estimate(values, engine, max(1, width - 1), memory, pairs, progress, first=start)
                sides = BothSides(
                    together,
                    engine,
                    others,
                    block_rows=block_rows_for(memory, 2 * len(rows), values.shape[1]),
                    unit_tolerance=unit_tolerance,
                    fast=float(len(rows)) * count * values.shape[1] >= FAST_FROM and compiled.is_compiled(),
                    lowest=lowest,
                )
            sides.search(values, int(rows[0]), progress.advance)
            if keep is not None and time.monotonic() - written >= KEEP_SECONDS:
                write_state(keep, number, others, lowest)
                written = time.monotonic()
        else:
            progress.advance(count - int(rows[0]))
    progress.end()
    if (others.position[:, : width - 1] < 0).any() or (lowest.position < 0).any():
        raise IntegrityError(f"{keep} is of other rows", hint="remove it, and run the same command again")
    if keep is not None:
        write_state(keep, number, others, lowest)
    nearest = np.concatenate([np.arange(count)[:, None], others.position], axis=1)[:, :width]
    scores = np.concatenate([itself[:, None], others.score], axis=1)[:, :width]
    return Known(nearest, scores, -lowest.score[:, 0])
