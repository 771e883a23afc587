"""Which library multiplies float32 matrices faster on this processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from sysu30k_bench.search.engines.faiss_engine import FaissEngine

WORTH = 1.25
"""FAISS stays where numpy is not at least this many times as fast."""

_QUERIES, _ROWS, _DIMENSION = 256, 256, 2048
_ROUNDS = 20
"""So many, and so short ones, that on a busy machine some of them run undisturbed."""


@lru_cache(maxsize=1)
def numpy_gain() -> float:
    """Times a small product by FAISS and by numpy, in turn, a fifth of a second in all on an idle machine.

    Each brings its own OpenBLAS, which takes its slowest kernel on a processor that it does not know: on an AMD EPYC of
    the third generation in a virtual machine FAISS's took four times as long as numpy's.

    Returns:
        How many times as fast numpy is, by the best of the rounds.
    """
    rng = np.random.default_rng(0)
    queries, block = (rng.random((rows, _DIMENSION), np.float32) for rows in (_QUERIES, _ROWS))
    engine = FaissEngine()
    engine.load_queries(queries, np.ones(_QUERIES))
    norms = np.ones(_ROWS)
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        theirs.append(_seconds(lambda: engine.scores(block, norms)))
        ours.append(_seconds(lambda: queries @ block.T))
    return min(theirs) / min(ours)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
