"""How long all pairs of a gallery will take, said before the work starts."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.search import block_rows_for, search

SAMPLE_ROWS = 4096
LATER_WORK = 1.3
"""Of a later part, the time beside that of its products: what can enter is looked for, both ways."""


def say_estimate(
    rows: np.ndarray, engine: Engine, k: int, memory: int, pairs: float, progress: Progress, *, first: float = 0
) -> None:
    """Says about how long the pairs will take, by a sample of the rows among themselves.

    Args:
        rows: (P, D) float32, the first part that remains.
        engine: The filter.
        k: Neighbours of each row.
        memory: Bytes for blocks.
        pairs: How many remain.
        progress: Told.
        first: How many of them are of the very first part, which finds the first neighbours of every row.
    """
    sample = rows[:SAMPLE_ROWS]
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(sample, axis=1).astype(np.float64)
    whole = np.isfinite(norms) & (norms > 0)  # the work itself says which row is wrong
    sample, norms = sample[whole], norms[whole] * 1.001
    if not len(sample):
        return
    block_rows = min(len(sample), block_rows_for(memory, len(sample), sample.shape[1]))
    start = _start(sample, engine, k, block_rows) / len(sample)
    later = LATER_WORK * _product(sample, norms, engine, block_rows) / block_rows
    minutes = round((start * first + later * (pairs - first)) / len(sample) / 60)
    said = f"about {minutes} min remain" if minutes else "less than a minute remains"
    progress.say(f"neighbours: {said}, by a sample")


def _start(sample: np.ndarray, engine: Engine, k: int, block_rows: int) -> float:
    """Times a small search, which is all start: nothing is known that a row would have to beat."""
    nothing, own = np.empty(0, np.int64), np.arange(len(sample))
    but_itself = Relevance(len(own), len(own), nothing, nothing, own, own, np.zeros(len(own), bool))
    return _least(lambda: search(sample, ArrayGallery(sample), but_itself, engine, top_k=k, block_rows=block_rows))


def _product(sample: np.ndarray, norms: np.ndarray, engine: Engine, block_rows: int) -> float:
    """Times the products of one block of the sample with all of it."""
    engine.load_queries(sample, norms)
    return _least(lambda: engine.scores(sample[:block_rows], norms[:block_rows]))


def _least(work: Callable[[], object]) -> float:
    """The seconds of the quicker of two runs: in the first one, libraries warm up."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
