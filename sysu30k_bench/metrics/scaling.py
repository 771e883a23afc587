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
    asked, total = np.asarray(sizes), np.zeros(len(sizes))
    found = np.array([pair for pair in counts if pair[0] >= 1], np.int64).reshape(-1, 2)
    ones, among = found.T[:, :, None]
    missed = stats.hypergeom.pmf(0, among - 1, ones - 1, asked - 1)  # one call: each costs a millisecond
    for pair, row in zip(found.tolist(), missed, strict=True):
        total += counts[pair[0], pair[1]] * row
    total[asked > min((size for _, size in counts), default=0)] = np.nan
    return total / len(rank)
