"""From the ranks in a part of a gallery to rank-1 in the whole of it, by a run whose ranks in the whole are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special, stats

_SPAN = 8
_RESAMPLES = 2000
_SEED = 30_001
_STEEPEST = 4.0
SMALLEST_PART = 64


class Extrapolation(NamedTuple):
    """Rank-1 in a larger gallery.

    Attributes:
        value: The prediction.
        low: Lower end of its 95 % interval.
        high: Upper end; never above rank-1 in the part, for whatever wins there wins in the whole.
        hindsight: What the same prediction, made from a part as much smaller again, was off by.
    """

    value: float
    low: float
    high: float
    hindsight: float


def extrapolate_rank1(
    rank: np.ndarray, ranked: int, known_rank: np.ndarray, known_ranked: int, level: float = 0.95
) -> Extrapolation:
    """Predicts rank-1 in the whole gallery from the ranks in a random part of it.

    Both runs' curves of rank-1 over smaller galleries are exact (hypergeometric, see `scaling_curve`). On the scale of
    log odds the run's curve is taken to bend, beyond the part, as the known run's does, by the ratio of their slopes
    over the last factor of eight before it. The interval is a percentile bootstrap over queries of both runs together,
    widened by how far the same prediction was off where it can be looked up: from a part as many times smaller again.

    Args:
        rank: (Q,) rank of the first match in the part, ties against it; 0 or less without one.
        ranked: Images ranked in the part.
        known_rank: (Q,) the same of a run on the same queries in the whole gallery.
        known_ranked: Images ranked in the whole.
        level: Of the interval.

    Raises:
        ValueError: The whole is not larger than the part, or the part holds fewer than `SMALLEST_PART` images.
    """
    if not SMALLEST_PART <= ranked < known_ranked:
        raise ValueError(f"a part of {ranked} images of {known_ranked} says nothing")
    before = max(_SPAN * 2, round(ranked * ranked / known_ranked))
    sizes = np.array([max(2, before // _SPAN), before, max(2, ranked // _SPAN), ranked])
    mine = _hits(rank, ranked, sizes)
    theirs = _hits(known_rank, known_ranked, np.append(sizes, known_ranked))
    hindsight = float(_bent(mine[:, :2].mean(0), theirs[:, [0, 1, 3]].mean(0), len(rank)) - mine[:, 3].mean())
    value = float(_bent(mine[:, 2:].mean(0), theirs[:, 2:].mean(0), len(rank)))
    rng = np.random.default_rng(_SEED)
    drawn = np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        weights = np.bincount(rng.integers(0, len(rank), len(rank)), minlength=len(rank)) / len(rank)
        drawn[number] = _bent(weights @ mine[:, 2:], weights @ theirs[:, 2:], len(rank))
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
    return np.stack(
        [
            np.where(rank >= 1, stats.hypergeom.pmf(0, ranked - 1, np.clip(rank, 1, ranked) - 1, size - 1), 0.0)
            for size in sizes.tolist()
        ],
        axis=1,
    )


def _bent(mine: np.ndarray, theirs: np.ndarray, queries: int) -> np.ndarray:
    """Goes on from `mine` (two sizes) as `theirs` does (the same two and the next), in log odds."""
    near = 0.5 / queries
    first, last = special.logit(np.clip(mine, near, 1 - near))
    known_first, known_last, known_next = special.logit(np.clip(theirs, near, 1 - near))
    slope = known_first - known_last
    steepness = np.clip((first - last) / slope, 0.0, _STEEPEST) if slope > 1e-9 else 1.0
    ahead: np.ndarray = special.expit(last - steepness * (known_last - known_next))
    return ahead
