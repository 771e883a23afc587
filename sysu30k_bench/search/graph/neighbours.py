"""The neighbour graph of a gallery: the exact top-k of every row among all others, resumable."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sysu30k_bench._version import __version__
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.engine import FAST_FROM, Engine
from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.gallery import StoreGallery
from sysu30k_bench.search.graph.both_sides import BothSides
from sysu30k_bench.search.graph.estimate import say_estimate
from sysu30k_bench.search.graph.graph_file import (
    GRAPH_NAME,
    GraphKind,
    is_finished,
    read_state,
    write_graph,
    write_state,
)
from sysu30k_bench.search.norms import UNIT_TOLERANCE
from sysu30k_bench.search.search import block_rows_for

MAX_PART_ROWS = 8192
PART_BYTES = 128 << 20
KEEP_SECONDS = 120.0
"""Between two writings of the state, which is as large as the graph."""


@dataclass(frozen=True)
class GraphPlan:
    """How a graph is made.

    Attributes:
        k: Neighbours of each row, the row itself left out.
        memory: Bytes that the search may use for its blocks.
        part_rows: Rows that are compared with all later ones in one pass over the gallery.
    """

    k: int
    memory: int
    part_rows: int


def part_rows_for(dimension: int) -> int:
    """Returns how many rows make a part: 128 MiB of float32, at most 8,192."""
    return max(1, min(MAX_PART_ROWS, PART_BYTES // (4 * dimension)))


def make_graph(store: Store, folder: Path, engine: Engine, plan: GraphPlan, progress: Progress, ranks: Ranks) -> Path:
    """Finds every row's nearest rows, and writes them to `neighbours.h5`.

    Each pair is scored once, for both its rows. An interrupted run resumes from its last state, and a whole graph of
    the same kind stands. Equal scores (in a cell of 1e-12) are ordered by position.

    Args:
        store: The embeddings.
        folder: Where the graph goes.
        engine: The filter.
        plan: How many neighbours, and how much memory.
        progress: Told of rows that parts were compared with, and of an estimate of the time before the work starts.
        ranks: This process among those that share the parts; the first one writes the whole.

    Returns:
        The file: `position` (G, k) int64, best first and -1 where there are fewer others, `score` (G, k) float64.

    Raises:
        IntegrityError: The store is damaged, or the state of another process.
        DataError: The folder cannot be written.
    """
    gallery = StoreGallery(store, range(len(store)))
    decisive = [store.manifest.model_dump(mode="json"), plan.k, plan.part_rows, __version__]
    name = sha256_of_text(json.dumps(decisive))[:16]
    kind = GraphKind(name, store.identity.digest, len(store), plan.k)
    if all(ranks.gather(is_finished(folder, kind))):
        return folder / GRAPH_NAME
    states = [folder / f"neighbours-{name}-{rank}of{ranks.world}.npz" for rank in range(ranks.world)]
    mine = _share(list(range(0, len(store), plan.part_rows)), ranks)
    top = TopK(len(store), plan.k)
    done = read_state(states[ranks.rank], len(mine), top) or 0
    progress.begin("neighbours", sum(len(store) - first for first in mine), "comparisons")
    progress.advance(sum(len(store) - first for first in mine[:done]))
    written = time.monotonic()
    sides: BothSides | None = None
    for number, first in enumerate(mine[done:], done + 1):
        rows = np.ascontiguousarray(store.rows(np.arange(first, first + _span(store, first, plan))), np.float32)
        if sides is None:
            pairs = sum(_span(store, one, plan) * (len(store) - one) for one in mine[done:])
            start = 0 if done else len(rows) * (len(store) - first)
            say_estimate(rows, engine, plan.k, plan.memory, pairs, progress, first=start)
            sides = _both_sides(gallery, engine, top, rows, store, plan)
        sides.search(rows, first, progress.advance)
        if number < len(mine) and time.monotonic() - written >= KEEP_SECONDS:
            write_state(states[ranks.rank], number, top)
            written = time.monotonic()
    progress.end()
    if ranks.world > 1:
        write_state(states[ranks.rank], len(mine), top)
    ranks.gather(None)
    if ranks.first:
        for path in states[1:]:
            _join(path, top)
        write_graph(folder, top, kind)
    ranks.gather(None)
    return folder / GRAPH_NAME


def _share(firsts: list[int], ranks: Ranks) -> list[int]:
    """The parts of a process, ascending; later parts are compared with fewer rows, so they are dealt out and back."""
    there_and_back = [*range(ranks.world), *reversed(range(ranks.world))]
    return [first for number, first in enumerate(firsts) if there_and_back[number % (2 * ranks.world)] == ranks.rank]


def _both_sides(
    gallery: StoreGallery, engine: Engine, top: TopK, rows: np.ndarray, store: Store, plan: GraphPlan
) -> BothSides:
    work = float(len(rows)) * len(gallery) * rows.shape[1]
    return BothSides(
        gallery,
        engine,
        top,
        block_rows=block_rows_for(plan.memory, 2 * len(rows), rows.shape[1]),
        unit_tolerance=UNIT_TOLERANCE[store.identity.dtype],
        fast=work >= FAST_FROM and compiled.is_compiled(),
    )


def _join(path: Path, top: TopK) -> None:
    """Offers every row what another process found."""
    others = TopK(*top.position.shape)
    if read_state(path, len(top.position), others) is None:
        raise IntegrityError(f"{path} is missing or damaged", hint="run the same command again")
    for begin in range(0, len(others.position), MAX_PART_ROWS):
        part = others.span(begin, begin + MAX_PART_ROWS)
        query, place = np.nonzero(part.position >= 0)
        if len(query):
            mine = top.span(begin, begin + MAX_PART_ROWS)
            mine.offer(query, part.position[query, place], part.score[query, place])


def _span(store: Store, first: int, plan: GraphPlan) -> int:
    return min(plan.part_rows, len(store) - first)
