"""Which filters pay on this processor: a coarser one must be faster than every finer one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch

from sysu30k_bench.search.engines import filters

WORTH = 1.15
"""How many times as fast as a finer filter a coarser one must be: it leaves more pairs open."""

_QUERIES, _ROWS, _DIMENSION = 1000, 1024, 2048
_ROUNDS = 5
"""So many that on a busy machine some of them run undisturbed."""


def filters_that_pay() -> tuple[str, ...]:
    """Times the filters that the processor may have, in turn, on a small block: once a process, a tenth of a second.

    int8 products are fastest on a processor with VNNI alone; with AMX those of bfloat16 are as fast, and their error is
    smaller.

    Returns:
        Names, the one of largest error first.
    """
    names = tuple(filters.available(torch.device("cpu")))
    return names if len(names) == 1 else worthwhile(names, _seconds(names))


def worthwhile(names: Sequence[str], seconds: Mapping[str, float]) -> tuple[str, ...]:
    """Leaves out the filters that are not faster than a finer one.

    Args:
        names: The one of largest error first.
        seconds: Of each, for the same work.
    """
    kept: list[str] = []
    for name in reversed(names):
        if all(seconds[name] * WORTH <= seconds[finer] for finer in kept):
            kept.append(name)
    return tuple(reversed(kept))


@lru_cache(maxsize=1)
def _seconds(names: tuple[str, ...]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    queries, block = (rng.standard_normal((rows, _DIMENSION), np.float32) for rows in (_QUERIES, _ROWS))
    norms = [np.linalg.norm(rows, axis=1).astype(np.float64) * 1.001 for rows in (queries, block)]
    made = {name: filters.make(name, torch.device("cpu")) for name in names}
    for one in made.values():
        one.load_queries(queries, norms[0])
        one.scores(block, norms[1])  # loops are loaded, memory is taken
    best = dict.fromkeys(names, float("inf"))
    for _ in range(_ROUNDS):
        for name, one in made.items():
            started = time.perf_counter()
            one.scores(block, norms[1])
            best[name] = min(best[name], time.perf_counter() - started)
    return best
