"""Operating points: threshold, FPIR reached, FNIR and TPIR at an FPIR, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.metrics.intervals import LEVEL, Interval, wilson
from sysu30k_bench.metrics.open_set.rates import fpir, grid, refusal, step_of, threshold_at
from sysu30k_bench.metrics.open_set.searches import RANK_LIMITS, Searches
from sysu30k_bench.search.score import TIE

RESAMPLES = 1000
_CELLS = 4_000_000
_SEED = 30_002
_SHIFT = 0.25


@dataclass(frozen=True)
class OperatingPoint:
    """Rates at the threshold of an FPIR.

    Attributes:
        threshold: The least at which the FPIR is not above its limit.
        fpir: What is reached there, with Wilson's interval: how well so many searches know the threshold.
        fnir: Misses, whatever their rank.
        tpir: By rank limit, matches found at or above the threshold.
    """

    threshold: float
    fpir: Interval
    fnir: Interval
    tpir: dict[int, Interval]


def operating_point(
    searches: Searches,
    rate: float,
    limits: tuple[int, ...] = RANK_LIMITS,
    resamples: int = RESAMPLES,
    seed: int = _SEED,
) -> OperatingPoint | str:
    """Finds the operating point of an FPIR.

    The intervals are for the rate at the true threshold of that FPIR, which the same searches only estimate.

    Args:
        searches: All of them.
        rate: FPIR.
        limits: Rank limits of the TPIR.
        resamples: Bootstrap draws behind an interval.
        seed: Of the draws.

    Returns:
        The point, or why there is none.
    """
    other = searches.other[searches.without_mate]
    said = refusal(len(other), rate)
    if said is None and not searches.with_mate.any():
        said = "no query has a match, so there is no miss rate"
    if said is not None:
        return said
    threshold = threshold_at(other, rate)
    spread = resampled(searches, rate, [None, *limits], resamples, seed)
    n = int(searches.with_mate.sum())
    found = [at_threshold(searches, threshold, limit) for limit in (None, *limits)]
    last = _highest_equal(other, threshold)
    upper = [at_threshold(searches, last, limit) for limit in (None, *limits)]
    middles = [value + _SHIFT * (end - value) for value, end in zip(found, upper, strict=True)]
    hits = [_interval(*one, n) for one in zip(found, middles, spread, strict=True)]
    reached = fpir(other, threshold)
    return OperatingPoint(
        threshold=threshold,
        fpir=wilson(reached * len(other), len(other)),
        fnir=Interval(1 - hits[0].value, 1 - hits[0].high, 1 - hits[0].low),
        tpir=dict(zip(limits, hits[1:], strict=True)),
    )


def contributions(searches: Searches, name: str) -> np.ndarray | str:
    """Returns the contribution of every query to an open-set metric at the run's own threshold.

    Args:
        searches: All of them.
        name: One of `catalogue.OPEN_SET`.

    Returns:
        (Q,) float64, NaN for queries that are no mated search; or why there is no threshold.
    """
    info = METRICS[name]
    other = searches.other[searches.without_mate]
    said = refusal(len(other), info.rate or 0.0)
    if said is not None:
        return said
    hit = (grid(searches.mated) >= step_of(threshold_at(other, info.rate or 0.0))).astype(float)
    hit *= 1.0 if info.rank_limit is None else searches.found[info.rank_limit]
    return np.where(searches.with_mate, 1 - hit if info.better == "lower" else hit, np.nan)


def at_threshold(searches: Searches, threshold: float, limit: int | None) -> float:
    """Share of mated searches found at or above a threshold, within a rank limit."""
    mated = searches.with_mate
    found = np.ones(int(mated.sum())) if limit is None else searches.found[limit][mated]
    return float((found * (grid(searches.mated[mated]) >= step_of(threshold))).mean())


def resampled(
    searches: Searches, rate: float, limits: list[int | None], resamples: int = RESAMPLES, seed: int = _SEED
) -> np.ndarray:
    """Resamples queries, each with both of its searches, and finds threshold and shares of each resample.

    The draws are those of every other call with as many queries, resamples and the same seed, so that two runs on the
    same queries are drawn together.

    Args:
        searches: All of them.
        rate: FPIR.
        limits: Rank limits.
        resamples: B.
        seed: Of the draws.

    Returns:
        (L, B) share of mated searches found.
    """
    rng = np.random.default_rng(seed)
    queries, mates, others = len(searches.mated), searches.with_mate, searches.without_mate
    levels = np.unique(grid(searches.other[others]))
    place = np.full(queries, -1, np.int32)  # higher is better; searches that find nothing lie below all
    place[others] = np.searchsorted(levels, grid(searches.other[others]))
    reach = np.searchsorted(levels, grid(searches.mated), side="left").astype(np.int32)  # levels below the match
    reach[~mates] = -1
    found = [np.ones(queries) if limit is None else np.nan_to_num(searches.found[limit]) for limit in limits]
    drawn = np.empty((len(limits), resamples))
    block = max(1, _CELLS // queries)
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        picked = rng.integers(0, queries, (count, queries), dtype=np.int32)
        searched = np.full(count, queries) if others.all() else others[picked].sum(axis=1)
        at = queries - 1 - np.floor(searched * rate + 1e-9).astype(int)
        ordered = np.partition(place[picked], np.unique(at), axis=1)
        highest_rejected = ordered[np.arange(count), at]
        accepted = reach[picked] > highest_rejected[:, None]
        total = np.full(count, queries) if mates.all() else np.maximum(mates[picked].sum(axis=1), 1)
        for row, values in enumerate(found):
            hits = accepted.sum(axis=1) if limits[row] is None else (accepted * values[picked]).sum(axis=1)
            drawn[row, start : start + count] = hits / total
    return drawn


def _highest_equal(other: np.ndarray, threshold: float) -> float:
    """The highest threshold with the same false alarms: the lowest score that raises one."""
    alarming = grid(other)[grid(other) >= step_of(threshold)]
    return float(alarming.min()) * TIE if len(alarming) else threshold


def _interval(value: float, middle: float, drawn: np.ndarray, n: int) -> Interval:
    """Wilson's interval at the effective number of searches (Franco et al., J. Surv. Stat. Methodol. 7, 2019).

    That number is p (1 - p) over the bootstrap variance, which holds what the estimated threshold adds. Where all
    searches agree it is n. The least threshold of an FPIR lies low, by half a search in the mean, and Wilson's pull
    towards one half makes up for a part of that; a quarter of the way to the highest threshold with the same false
    alarms gave the most even coverage (`benchmarks.open_set_coverage`).

    Args:
        value: The share.
        middle: The share between the least and the highest threshold with the same false alarms.
        drawn: Bootstrap draws of the share.
        n: Searches.
    """
    variance = float(drawn.var())
    effective = middle * (1 - middle) / variance if 0 < middle < 1 and variance > 0 else float(n)
    z2 = float(stats.norm.ppf((1 + LEVEL) / 2)) ** 2
    centre = (middle + z2 / (2 * effective)) / (1 + z2 / effective)
    half = float(np.sqrt(z2 * (middle * (1 - middle) / effective + z2 / (4 * effective**2)))) / (1 + z2 / effective)
    return Interval(value, max(0.0, min(centre - half, value)), min(1.0, max(centre + half, value)))


def paired_spread(
    first: Searches, second: Searches, name: str, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval | str:
    """Second less first of an open-set metric, with a percentile bootstrap interval over queries.

    Each run has its own threshold, found again in every resample.

    Args:
        first: Of one run.
        second: Of another, of the same queries in the same order.
        name: One of `catalogue.OPEN_SET`.
        level: Of the interval.
        resamples: How many.

    Returns:
        The difference, or why there is none.
    """
    means = []
    for one in (first, second):
        values = contributions(one, name)
        if isinstance(values, str):
            return values
        means.append(float(np.nanmean(values)))
    info = METRICS[name]
    drawn = [resampled(one, info.rate or 0.0, [info.rank_limit], resamples)[0] for one in (first, second)]
    change = (drawn[1] - drawn[0]) * (-1 if info.better == "lower" else 1)
    low, high = np.quantile(change, [(1 - level) / 2, (1 + level) / 2])
    value = means[1] - means[0]
    return Interval(value, min(float(low), value), max(float(high), value))
