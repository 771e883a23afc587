"""95 % bands of the report's curves, pointwise over queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from sysu30k_bench.metrics.intervals import LEVEL
from sysu30k_bench.metrics.open_set.rates import grid
from sysu30k_bench.metrics.scaling import scaling_curve

_RESAMPLES, _SEED = 400, 30_000


class Band(NamedTuple):
    """A curve with its band.

    Attributes:
        at: (P,) where along the axis.
        value: (P,) fractions.
        low: (P,) lower end.
        high: (P,) upper end.
    """

    at: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def cmc_band(first: np.ndarray, ranks: np.ndarray) -> Band:
    """Share of queries whose first match is at rank k or better, with Wilson's score interval (Wilson, JASA 1927).

    Args:
        first: (Q,) rank of the first match, ties against it; NaN for queries without one.
        ranks: (P,) k.
    """
    count = len(first)
    hits = np.searchsorted(np.sort(first[~np.isnan(first)]), ranks, side="right")
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    share, widened = hits / count, 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / widened
    half = z / widened * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return Band(ranks, share, np.clip(middle - half, 0, share), np.clip(middle + half, share, 1))


def scaling_band(first: np.ndarray, ranked: np.ndarray, sizes: np.ndarray) -> Band:
    """Expected rank-1 in smaller galleries, with a percentile bootstrap over queries (400 resamples, seeded).

    Args:
        first: (Q,) rank of the first match; 0 or less for queries without one.
        ranked: (Q,) images ranked for each query.
        sizes: (P,) galleries, the match counted.
    """
    kinds, counts = np.unique(np.stack([first, ranked]), axis=1, return_counts=True)
    each = np.stack([scaling_curve(kinds[:1, kind], kinds[1:, kind], sizes) for kind in range(kinds.shape[1])])
    drawn = np.random.default_rng(_SEED).multinomial(len(first), counts / len(first), _RESAMPLES) / len(first)
    low, high = _ends(drawn @ each)
    value = (counts / len(first)) @ each
    return Band(sizes, value, np.minimum(low, value), np.maximum(high, value))


def det_band(mated: np.ndarray, other: np.ndarray, rates: np.ndarray) -> Band:
    """FNIR at the least threshold of each FPIR, the threshold found again in each of 400 resamples of the queries.

    Args:
        mated: (Q,) score of each query's best match; NaN for those that are no mated search.
        other: (Q,) best score of the same queries with their matches withheld; NaN for those that are no such search.
        rates: (P,) FPIR, above 0 and at most 1.
    """
    mated, other = grid(mated), grid(other)
    rng = np.random.default_rng(_SEED)
    draws = (rng.integers(0, len(mated), len(mated)) for _ in range(_RESAMPLES))
    low, high = _ends(np.stack([_fnir_at(mated[draw], other[draw], rates) for draw in draws]))
    value = _fnir_at(mated, other, rates)
    return Band(rates, value, np.fmin(low, value), np.fmax(high, value))


def _fnir_at(mated: np.ndarray, other: np.ndarray, rates: np.ndarray) -> np.ndarray:
    falling = np.sort(other[~np.isnan(other)])[::-1]
    rising = np.sort(mated[~np.isnan(mated)])
    if not len(falling) or not len(rising):
        return np.full(len(rates), np.nan)
    allowed = np.floor(rates * len(falling) + 1e-9).astype(int)
    needed = np.append(falling, -np.inf)[np.minimum(allowed, len(falling))]
    missed: np.ndarray = np.searchsorted(rising, needed, side="right") / len(rising)
    return missed


def _ends(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
