"""Rank-1 against the size of the gallery, exact from the ranks alone."""

from __future__ import annotations

import numpy as np
from scipy import stats


def scaling_curve(rank: np.ndarray, ranked: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Expected rank-1 in smaller galleries: each query's match, and others drawn at random without replacement.

    A query whose match has r - 1 of N - 1 others before it is a hit among m of them exactly when none of the r - 1 is
    drawn: a hypergeometric probability.

    Args:
        rank: (Q,) rank of the first match, ties against it; 0 or less for queries without one, which are misses.
        ranked: (Q,) images ranked for each query.
        sizes: (S,) galleries, the match counted.

    Returns:
        (S,) float64; NaN where a size is larger than some query's gallery.
    """
    counts: dict[tuple[int, int], int] = {}
    for one, among in zip(rank.tolist(), ranked.tolist(), strict=True):
        counts[(int(one), int(among))] = counts.get((int(one), int(among)), 0) + 1
    total = np.zeros(len(sizes))
    for (one, among), how_many in counts.items():
        if one >= 1:
            total += how_many * stats.hypergeom.pmf(0, among - 1, one - 1, np.asarray(sizes) - 1)
        total[np.asarray(sizes) > among] = np.nan
    return total / len(rank)
