"""The neighbour graph of a gallery: the exact top-k of every row among all others, part by part, resumable."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sysu30k_bench._version import __version__
from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.gallery import ArrayGallery, Gallery, StoreGallery
from sysu30k_bench.search.graph.graph_file import GRAPH_NAME, GraphKind, is_finished, join_parts, read_part, write_part
from sysu30k_bench.search.search import UNIT_TOLERANCE, block_rows_for, search

MAX_PART_ROWS = 8192
PART_BYTES = 128 << 20


@dataclass(frozen=True)
class GraphPlan:
    """How a graph is made.

    Attributes:
        k: Neighbours of each row, the row itself left out.
        memory: Bytes that the search may use for its blocks.
        part_rows: Rows whose neighbours are found in one pass over the gallery.
    """

    k: int
    memory: int
    part_rows: int


def part_rows_for(dimension: int) -> int:
    """Returns how many rows make a part: 128 MiB of float32, at most 8,192."""
    return max(1, min(MAX_PART_ROWS, PART_BYTES // (4 * dimension)))


def make_graph(store: Store, folder: Path, engine: Engine, plan: GraphPlan, progress: Progress, ranks: Ranks) -> Path:
    """Finds every row's nearest rows, and writes them to `neighbours.h5`.

    The parts of an interrupted run are kept and reused, and a whole graph of the same kind stands. Equal scores (in a
    cell of 1e-12) are ordered by position.

    Args:
        store: The embeddings.
        folder: Where the graph goes.
        engine: The filter.
        plan: How many neighbours, and how much memory.
        progress: Told of rows whose neighbours are known, and of an estimate of the time before the work starts.
        ranks: This process among those that share the parts; the first one writes the whole.

    Returns:
        The file: `position` (G, k) int64, best first and -1 where there are fewer others, `score` (G, k) float64.

    Raises:
        IntegrityError: The store is damaged.
        DataError: The folder cannot be written.
    """
    gallery = StoreGallery(store, range(len(store)))
    decisive = [store.manifest.model_dump(mode="json"), plan.k, plan.part_rows, __version__]
    name = sha256_of_text(json.dumps(decisive))[:16]
    kind = GraphKind(name, store.identity.digest, len(store), plan.k)
    if all(ranks.gather(is_finished(folder, kind))):
        return folder / GRAPH_NAME
    firsts = list(range(0, len(store), plan.part_rows))
    parts = {first: (folder / f"neighbours-{name}-{first:09d}.npz", _span(store, first, plan)) for first in firsts}
    mine = firsts[ranks.rank :: ranks.world]
    waiting = [first for first in mine if read_part(*parts[first], plan.k) is None]
    progress.begin("neighbours", sum(_span(store, first, plan) for first in mine), "rows")
    progress.advance(sum(_span(store, first, plan) for first in mine if first not in waiting))
    for number, first in enumerate(waiting):
        rows = np.ascontiguousarray(store.rows(np.arange(first, first + _span(store, first, plan))), np.float32)
        if number == 0:
            seconds = _estimate(rows, engine, plan) * len(store) * sum(_span(store, one, plan) for one in waiting)
            progress.say(f"neighbours: at most about {max(1, round(seconds / 60))} min remain, by a sample")
        position, score = _neighbours(rows, first, gallery, store, engine, plan)
        write_part(parts[first][0], position, score)
        progress.advance(len(rows))
    progress.end()
    ranks.gather(None)
    if ranks.first:
        join_parts(folder, parts, kind)
    ranks.gather(None)
    return folder / GRAPH_NAME


def _neighbours(
    rows: np.ndarray, first: int, gallery: Gallery, store: Store, engine: Engine, plan: GraphPlan
) -> tuple[np.ndarray, np.ndarray]:
    result = search(
        rows,
        gallery,
        _all_but_itself(len(rows), first, len(gallery)),
        engine,
        top_k=plan.k,
        block_rows=block_rows_for(plan.memory, len(rows), rows.shape[1]),
        unit_tolerance=UNIT_TOLERANCE[store.identity.dtype],
    )
    shape = (len(rows), plan.k)
    position, score = np.full(shape, -1, np.int64), np.full(shape, -np.inf)
    found = result.top_position.shape[1]
    position[:, :found], score[:, :found] = result.top_position, result.top_score
    return position, score


def _all_but_itself(count: int, first: int, gallery: int) -> Relevance:
    nothing, own = np.empty(0, np.int64), np.arange(count)
    return Relevance(count, gallery, nothing, nothing, own, own + first, np.zeros(gallery, bool))


def _estimate(rows: np.ndarray, engine: Engine, plan: GraphPlan) -> float:
    """Seconds for a pair of rows at most: a small search is all start, and has no use of the coarse filter."""
    sample = rows[:4096]
    seconds = []
    for _ in range(2):  # the first time, libraries warm up
        started = time.perf_counter()
        search(
            sample,
            ArrayGallery(sample),
            _all_but_itself(len(sample), 0, len(sample)),
            engine,
            top_k=plan.k,
            block_rows=block_rows_for(plan.memory, len(sample), sample.shape[1]),
        )
        seconds.append(time.perf_counter() - started)
    return min(seconds) / len(sample) ** 2


def _span(store: Store, first: int, plan: GraphPlan) -> int:
    return min(plan.part_rows, len(store) - first)
