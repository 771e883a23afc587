"""Runs against each other, query by query."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

from sysu30k_bench.metrics.catalogue import METRICS, OPEN_SET
from sysu30k_bench.metrics.holm import holm
from sysu30k_bench.metrics.intervals import LEVEL, bootstrap_mean
from sysu30k_bench.metrics.open_set.points import paired_spread
from sysu30k_bench.metrics.resolution import DISCORDANCES, smallest_difference
from sysu30k_bench.results.ranked_run import RankedRun, aligned

RESAMPLES = 10_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Difference(_Strict):
    """Second run less first, mean over queries, with its 95 % interval by paired bootstrap."""

    value: float
    low: float
    high: float


class Standing(_Strict):
    """One run.

    Attributes:
        name: Its name.
        rank1: Expected rank-1 under random tie order.
        ap_standard: Mean standard AP.
    """

    name: str
    rank1: float
    ap_standard: float


class Pair(_Strict):
    """Two runs.

    Attributes:
        first: Name.
        second: Name.
        rank1: Difference of rank-1.
        ap_standard: Difference of the mean standard AP.
        only_first: Queries that the first alone puts at rank 1 (ties against the match).
        only_second: Queries that the second alone does.
        p: Exact McNemar test of those two numbers, two-sided.
        p_holm: The same, corrected for all pairs (Holm, 1979).
        least_difference: Smallest net number of queries, of as many that differ, which would reach p < 0.05.
        same_ranks: Whether every query contributes the same to every metric.
        open_set: Differences of FNIR at each FPIR, by name, with both thresholds found again in every draw.
        finds: Smallest difference of rank-1 that the exact test finds with 80 % power, where as many queries differ.
    """

    first: str
    second: str
    rank1: Difference
    ap_standard: Difference
    only_first: list[str]
    only_second: list[str]
    p: float
    p_holm: float
    least_difference: int
    same_ranks: bool = False
    open_set: dict[str, Difference] = {}
    finds: float | None = None


class Comparison(_Strict):
    """All runs, and all pairs of them.

    Attributes:
        n: Queries.
        runs: In the order given.
        pairs: Every pair.
        least_of_n: Smallest number of queries which could ever reach p < 0.05: all that differ in one direction.
        resolution: Smallest difference of rank-1 that the exact test finds with 80 % power, by the share of queries
            that differ; None where it finds none.
    """

    n: int
    runs: list[Standing]
    pairs: list[Pair]
    least_of_n: int
    resolution: dict[str, float | None] = {}

    def __str__(self) -> str:
        lines = [
            f"{run.name}: rank-1 {run.rank1 * 100:.2f}, AP (standard) {run.ap_standard * 100:.2f}" for run in self.runs
        ]
        for pair in self.pairs:
            low, value, high = (number * 100 for number in (pair.rank1.low, pair.rank1.value, pair.rank1.high))
            lines.append(
                f"{pair.second} less {pair.first}: rank-1 {value:+.2f} points ({low:+.2f} to {high:+.2f}), "
                f"{len(pair.only_second)} queries won and {len(pair.only_first)} lost, p after Holm {pair.p_holm:.3g}"
            )
        return "\n".join(lines)


def compare(runs: Sequence[RankedRun]) -> Comparison:
    """Compares runs pair by pair, over the same queries.

    Args:
        runs: At least two.

    Raises:
        UsageError: They are not of the same lists.
    """
    runs = aligned(runs)
    pairs = list(combinations(runs, 2))
    tests = [mcnemar(first.hit, second.hit) for first, second in pairs]
    corrected = holm(tests)
    return Comparison(
        n=len(runs[0].hit),
        runs=[
            Standing(
                name=run.name,
                rank1=float(run.per_query["rank1"].mean()),
                ap_standard=float(run.per_query["ap_standard"].mean()),
            )
            for run in runs
        ],
        pairs=[
            _pair(first, second, p, float(holm))
            for (first, second), p, holm in zip(pairs, tests, corrected, strict=True)
        ],
        least_of_n=least_difference(None),
        resolution={f"{share:g}": smallest_difference(len(runs[0].hit), share) for share in DISCORDANCES},
    )


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Exact two-sided McNemar test (McNemar, 1947): of the queries that differ, half should go either way.

    Args:
        first: (n,) bool.
        second: (n,) bool.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def least_difference(differing: int | None, alpha: float = 0.05) -> int:
    """Returns the smallest net difference that the exact test finds.

    Args:
        differing: Queries that differ; None for whatever number finds the smallest.
        alpha: Level of the test.

    Returns:
        A number of queries; one more than `differing` where not even all of them in one direction would do.
    """
    if differing is None:
        differing = next(count for count in range(1, 64) if stats.binomtest(0, count).pvalue < alpha)
    for fewer in range(differing // 2, -1, -1):
        if stats.binomtest(fewer, differing).pvalue < alpha if differing else False:
            return differing - 2 * fewer
    return differing + 1


def paired_difference(first: np.ndarray, second: np.ndarray, level: float = LEVEL) -> Difference:
    """Mean of second less first with a percentile bootstrap interval over queries, 10,000 resamples, seeded.

    Args:
        first: (n,) float64.
        second: (n,) float64, of the same queries.
        level: Of the interval.
    """
    found = bootstrap_mean(second - first, level, RESAMPLES, reach=(-1.0, 1.0))
    return Difference(value=found.value, low=found.low, high=found.high)


def _pair(first: RankedRun, second: RankedRun, p: float, holm: float) -> Pair:
    keys = first.per_query.index.to_numpy()
    ours, theirs = first.hit & ~second.hit, second.hit & ~first.hit
    return Pair(
        first=first.name,
        second=second.name,
        rank1=paired_difference(first.per_query["rank1"].to_numpy(), second.per_query["rank1"].to_numpy()),
        ap_standard=paired_difference(
            first.per_query["ap_standard"].to_numpy(), second.per_query["ap_standard"].to_numpy()
        ),
        only_first=keys[ours].tolist(),
        only_second=keys[theirs].tolist(),
        p=p,
        p_holm=holm,
        least_difference=least_difference(int(ours.sum() + theirs.sum())),
        same_ranks=first.per_query.equals(second.per_query),
        open_set=_open_set(first, second),
        finds=smallest_difference(len(keys), float((ours | theirs).mean())),
    )


def _open_set(first: RankedRun, second: RankedRun) -> dict[str, Difference]:
    if first.searches is None or second.searches is None:
        return {}
    names = [name for name in OPEN_SET if METRICS[name].main]
    found = {name: paired_spread(first.searches, second.searches, name) for name in names}
    return {
        name: Difference(value=one.value, low=one.low, high=one.high)
        for name, one in found.items()
        if not isinstance(one, str)
    }
