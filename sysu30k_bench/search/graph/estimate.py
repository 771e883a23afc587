"""How long all pairs of a gallery will take, said before the work starts."""

from __future__ import annotations

import time

import numpy as np

from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.search import block_rows_for, search

SAMPLE_ROWS = 4096


def say_estimate(rows: np.ndarray, engine: Engine, k: int, memory: int, pairs: float, progress: Progress) -> None:
    """Says how long the pairs will take at most.

    Args:
        rows: (P, D) float32, the first part; some of its rows are searched among themselves.
        engine: The filter.
        k: Neighbours of each row.
        memory: Bytes for blocks.
        pairs: How many remain.
        progress: Told.
    """
    sample = rows[:SAMPLE_ROWS]
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(sample, axis=1)
    sample = sample[np.isfinite(norms) & (norms > 0)]  # the work itself says which row is wrong
    if not len(sample):
        return
    seconds = seconds_a_pair(sample, engine, k, memory) * pairs
    progress.say(f"neighbours: at most about {max(1, round(seconds / 60))} min remain, by a sample")


def seconds_a_pair(sample: np.ndarray, engine: Engine, k: int, memory: int) -> float:
    """Times a small search: at most, since that is all start, and has no use of the coarse filter."""
    block_rows = block_rows_for(memory, len(sample), sample.shape[1])
    seconds = []
    for _ in range(2):  # the first time, libraries warm up
        started = time.perf_counter()
        search(sample, ArrayGallery(sample), _all_but_itself(len(sample)), engine, top_k=k, block_rows=block_rows)
        seconds.append(time.perf_counter() - started)
    return min(seconds) / len(sample) ** 2


def _all_but_itself(count: int) -> Relevance:
    nothing, own = np.empty(0, np.int64), np.arange(count)
    return Relevance(count, count, nothing, nothing, own, own, np.zeros(count, bool))
