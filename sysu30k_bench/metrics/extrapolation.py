"""Predicts rank-1 in a whole gallery from the ranks in a part, by a run whose ranks in both are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special, stats

_SPAN = 8
_RESAMPLES = 2000
_SEED = 30_001
_STEEPEST = 4.0
_SMALLEST_PART = 64
_FEWEST_MISSES = 10
_FLAT = 1e-9
_BLOCK = 1 << 19
"""Numbers in a block of the bootstrap: 4 MiB."""


class Extrapolation(NamedTuple):
    """Rank-1 in a larger gallery.

    Attributes:
        value: The prediction.
        low: Lower end of its 95 % interval.
        high: Upper end; never above rank-1 in the part, for what loses there loses in the whole.
        hindsight: What the same prediction, made from a part as much smaller again, was off by.
    """

    value: float
    low: float
    high: float
    hindsight: float


def extrapolate_rank1(
    rank: np.ndarray,
    known_rank: np.ndarray,
    ranked: int,
    whole_rank: np.ndarray,
    whole: int,
    level: float = 0.95,
) -> Extrapolation | None:
    """Predicts rank-1 in the whole gallery from the ranks in a part of it, by a run that was ranked in both.

    Curves of rank-1 over smaller galleries than the part are exact (hypergeometric, see `scaling_curve`). On the scale
    of log odds the run's curve is taken to go on, beyond the part, as the known run's does, by the ratio of their
    slopes over the last factor of eight before it. Both were ranked in the very same part, so that what is peculiar to
    it (it holds all other queries' matches) is in both curves. The interval is a percentile bootstrap over queries of
    both runs together, widened by how far the same prediction was off where it can be looked up: from a part as many
    times smaller again.

    Args:
        rank: (Q,) rank of the first match in the part, ties against it; 0 or less without one.
        known_rank: (Q,) the same of the known run.
        ranked: Images ranked in the part.
        whole_rank: (Q,) of the known run in the whole gallery.
        whole: Images ranked there.
        level: Of the interval.

    Returns:
        None where the part says too little: it is tiny, or so easy that fewer than ten queries of either run miss.

    Raises:
        ValueError: The whole is not larger than the part.
    """
    if ranked >= whole:
        raise ValueError(f"{ranked} images are not a part of {whole}")
    fewest = min(int((one != 1).sum()) for one in (rank, known_rank))
    if ranked < _SMALLEST_PART or fewest < _FEWEST_MISSES:
        return None
    before = max(_SPAN * 2, round(ranked * ranked / whole))
    sizes = np.array([max(2, before // _SPAN), before, max(2, ranked // _SPAN), ranked])
    mine, theirs = _hits(rank, ranked, sizes), _hits(known_rank, ranked, sizes)
    theirs = np.column_stack([theirs, whole_rank == 1])
    hindsight = float(_bent(mine[:, :2].mean(0), theirs[:, [0, 1, 3]].mean(0), len(rank)) - mine[:, 3].mean())
    value = float(_bent(mine[:, 2:].mean(0), theirs[:, 2:].mean(0), len(rank)))
    rng = np.random.default_rng(_SEED)
    drawn = np.concatenate(
        [_bent(weights @ mine[:, 2:], weights @ theirs[:, 2:], len(rank)) for weights in _resamples(rng, len(rank))]
    )
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    most = float(mine[:, 3].mean())
    value = min(value, most)
    return Extrapolation(
        value,
        max(0.0, min(float(low), value) - abs(hindsight)),
        min(most, max(float(high), value) + abs(hindsight)),
        hindsight,
    )


def _hits(rank: np.ndarray, ranked: int, sizes: np.ndarray) -> np.ndarray:
    """Probability that each query is a hit in smaller galleries, (Q, S)."""
    different, place = np.unique(rank, return_inverse=True)
    hits = [
        np.where(different >= 1, stats.hypergeom.pmf(0, ranked - 1, np.clip(different, 1, ranked) - 1, size - 1), 0.0)
        for size in sizes.tolist()
    ]
    return np.stack(hits, axis=1)[place]


def _resamples(rng: np.random.Generator, queries: int) -> Iterator[np.ndarray]:
    """Yields the bootstrap's weights of queries, (B, Q) float64, a block of resamples after the other."""
    rows = max(1, min(_RESAMPLES, _BLOCK // queries))
    for start in range(0, _RESAMPLES, rows):
        count = min(rows, _RESAMPLES - start)
        drawn = rng.integers(0, queries, (count, queries)) + queries * np.arange(count)[:, np.newaxis]
        times = np.bincount(drawn.ravel(), minlength=count * queries)
        yield times.reshape(count, queries) / queries


def _bent(mine: np.ndarray, theirs: np.ndarray, queries: int) -> np.ndarray:
    """Continues `mine`, (..., 2) for two sizes, as `theirs` continues, (..., 3) for these and the next, in log odds."""
    near = 0.5 / queries
    first, last = np.moveaxis(special.logit(np.clip(mine, near, 1 - near)), -1, 0)
    known_first, known_last, known_next = np.moveaxis(special.logit(np.clip(theirs, near, 1 - near)), -1, 0)
    slope = known_first - known_last
    flat = slope <= _FLAT
    steepness = np.where(flat, 1.0, np.clip((first - last) / np.where(flat, 1.0, slope), 0.0, _STEEPEST))
    ahead: np.ndarray = special.expit(last - steepness * (known_last - known_next))
    return ahead
