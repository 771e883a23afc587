"""95 % intervals: Wilson for proportions, bootstrap over queries for means, order statistics for the median."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000
_SEED = 30_000


class Interval(NamedTuple):
    """A value with its 95 % interval.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def wilson(hits: float, n: int) -> Interval:
    """Wilson's score interval of a proportion (Wilson, JASA 1927).

    Args:
        hits: Successes; a fraction where ties make it an expectation.
        n: Trials, at least 1.
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, n, alpha=1 - LEVEL, method="wilson")
    value = hits / n
    return Interval(value, float(min(max(low, 0.0), value)), float(max(min(high, 1.0), value)))


def bootstrap_mean(
    values: np.ndarray,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    reach: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Percentile bootstrap of a mean over queries, seeded.

    Equal values have nothing to resample, and still do not prove that every other query would give the same: there the
    share of others that n equal ones leave open (Wilson's bound at 0 of n) may lie at either end of the values' reach.

    Args:
        values: (n,) float64.
        level: Of the interval.
        resamples: How many.
        reach: The least and the largest that a value can be.
    """
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        others = _upper_share(len(values), level)
        low, high = reach
        return Interval(mean, mean - others * (mean - low), mean + others * (high - mean))
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, 4_000_000 // len(values)),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    low, high = result.confidence_interval
    return Interval(mean, min(float(low), mean), max(float(high), mean))


def _upper_share(n: int, level: float) -> float:
    """Wilson's upper bound of a share of which n queries show nothing."""
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
    return z2 / (n + z2)


def median(values: np.ndarray) -> Interval:
    """The median with a distribution-free interval from order statistics (Conover, Practical Nonparametric Statistics).

    Fewer than six values bound nothing: even the least and the largest of five enclose the median less often than 95 %.

    Args:
        values: (n,) float64; infinite values stand for queries without a match.

    Returns:
        The interval; infinite ends where n is below six.
    """
    ordered = np.sort(values)
    n = len(ordered)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    low, high = stats.quantile_test(ordered, p=0.5).confidence_interval(LEVEL)
    if np.isnan(low) or np.isnan(high):
        return Interval(float(middle), -np.inf, np.inf)
    return Interval(float(middle), float(low), float(high))
