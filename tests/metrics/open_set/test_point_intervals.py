"""Intervals of operating points and of their differences, recomputed step by step from the bootstrap's draws."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from sysu30k_bench.metrics.intervals import Interval
from sysu30k_bench.metrics.open_set.points import (
    OperatingPoint,
    contributions,
    operating_point,
    paired_spread,
    resampled,
)
from sysu30k_bench.metrics.open_set.searches import Searches
from tests.metrics.open_set import oracle

N, RATE, LIMITS = 200, 0.1, (1, 20)


def point(searches: Searches, resamples: int = 150, seed: int = 9) -> OperatingPoint:
    found = operating_point(searches, RATE, LIMITS, resamples, seed)
    assert isinstance(found, OperatingPoint)
    return found


def recomputed(
    searches: Searches, limit: int | None, resamples: int = 150, seed: int = 9
) -> tuple[float, float, float]:
    """Statsmodels' Wilson interval at the effective number of searches, held open to the value itself."""
    other = searches.other.tolist()
    least = oracle.least_threshold(other, RATE)
    alarming = [score for score in other if oracle.steps(score) >= oracle.steps(least)]

    def share(threshold: float) -> float:
        accepted = [oracle.steps(score) >= oracle.steps(threshold) for score in searches.mated]
        return float(np.mean(accepted if limit is None else searches.found[limit] * accepted))

    value = share(least)
    middle = value + (share(min(alarming)) - value) / 4 if alarming else value
    spread = resampled(searches, RATE, [limit], resamples, seed)[0].var()
    effective = middle * (1 - middle) / spread if 0 < middle < 1 and spread else len(searches.mated)
    low, high = proportion_confint(middle * effective, effective, method="wilson")
    return value, min(low, value), max(high, value)


def check(searches: Searches, resamples: int = 150, seed: int = 9) -> OperatingPoint:
    found = point(searches, resamples, seed)
    value, low, high = recomputed(searches, None, resamples, seed)
    assert found.fnir == pytest.approx((1 - value, 1 - high, 1 - low))
    for limit in LIMITS:
        assert found.tpir[limit] == pytest.approx(recomputed(searches, limit, resamples, seed))
    return found


def apart(alarms: list[float], below: float = 0.5) -> np.ndarray:
    """Best others of `N` searches: some that alarm, all the others far below them."""
    return np.concatenate([alarms, np.linspace(0.1, below, N - len(alarms))])


def spread_out(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.linspace(0.3, 0.95, N))


def found_at(mated: np.ndarray, other: np.ndarray, first: float = 0.4) -> Searches:
    """Matches that stand at rank 1 with some probability, and always among the first twenty but one in eight."""
    found = {1: np.full(len(mated), first), 20: np.arange(len(mated)) % 8 / 7}
    return Searches(np.arange(len(mated)).astype(str), mated, other, found)


def test_the_interval_is_wilsons_at_the_effective_number_a_quarter_of_the_way_to_the_next_alarm() -> None:
    """A third of the matches score between the least threshold and the lowest score that raises an alarm."""
    searches = found_at(spread_out(), apart([0.8] * 19 + [0.75]))
    found = check(searches)
    assert found.fnir != pytest.approx(point(searches, seed=10).fnir, abs=1e-6), "the seed is that of the draws"
    assert found.fnir != pytest.approx(point(searches, resamples=151).fnir, abs=1e-6)
    check(searches, resamples=80, seed=1)


def test_an_alarm_just_at_the_threshold_leaves_no_room_above_it() -> None:
    """The lowest alarm scores one step of the grid above the highest search that raises none."""
    check(found_at(spread_out(1), apart([0.8] * 19 + [0.5 + 1e-12])))


def test_a_threshold_at_which_nothing_alarms_is_its_own_highest() -> None:
    found = check(found_at(spread_out(2), np.full(N, 0.5)))
    assert found.fpir.value == 0
    assert found.threshold == pytest.approx(0.5 + 1e-12, abs=1e-14)


def test_searches_that_agree_count_each_as_one() -> None:
    """Every match is accepted, and stands at rank 1 in one order of ties out of two."""
    found = check(found_at(np.full(N, 0.9), apart([0.8] * 20), first=0.5))
    assert found.tpir[1] == pytest.approx((0.5, *proportion_confint(N / 2, N, method="wilson")))


@pytest.mark.parametrize(("alarms", "missed"), [(20, 0.0), (21, 1.0)])
def test_where_all_are_found_or_missed_draws_with_other_thresholds_change_nothing(alarms: int, missed: float) -> None:
    """Twenty alarms are allowed: draws with one more of them reject the scores that the others accept."""
    searches = oracle.searches(np.full(N, 0.8), apart([0.8] * alarms))
    draws = resampled(searches, RATE, [None], 150, 9)[0]
    assert 0 < draws.mean() < 1
    z2 = 1.959964**2
    beyond = z2 / (N + z2)
    expected = (0, 0, beyond) if missed == 0 else (1, 1 - beyond, 1)
    assert point(searches).fnir == pytest.approx(expected)


@pytest.mark.parametrize("n", [103, 134, 151, 202])
def test_no_end_leaves_the_unit_by_rounding(n: int) -> None:
    found = operating_point(oracle.searches(np.full(n, 0.9), np.linspace(0, 0.4, n)), RATE, resamples=1)
    assert isinstance(found, OperatingPoint)
    assert found.fnir.low == 0
    assert found.tpir[1].high == 1


def test_a_match_that_scores_exactly_the_threshold_is_found() -> None:
    """The threshold is one step above 0.5; the match one step lower ties with a rejected search."""
    mated = np.full(N, 0.2)
    mated[:4] = 0.5, 0.5 + 1e-12, 0.5 + 2e-12, 0.8
    searches = oracle.searches(mated, apart([0.8] * 20))
    assert point(searches).fnir.value == pytest.approx(1 - 3 / N)
    missed = contributions(searches, "fnir_at_fpir10")
    assert not isinstance(missed, str)
    assert missed[:5].tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize(("name", "limit", "sign"), [("fnir_at_fpir10", None, -1), ("tpir20_at_fpir10", 20, 1)])
def test_a_difference_has_the_quantiles_of_the_paired_draws(name: str, limit: int | None, sign: int) -> None:
    runs = [found_at(spread_out(seed), apart([0.8] * 20)) for seed in (3, 4)]
    runs[1] = found_at(runs[1].mated + 0.03, runs[1].other)
    found = paired_spread(runs[0], runs[1], name, level=0.8, resamples=90)
    first, second = (resampled(one, RATE, [limit], 90)[0] for one in runs)
    change = np.sort(sign * (second - first))
    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx((np.quantile(change, 0.1), np.quantile(change, 0.9)))
    assert found.low < found.value < found.high
    means = [np.mean(one.mated > 0.5) if limit is None else np.mean((one.mated > 0.5) * one.found[20]) for one in runs]
    assert found.value == pytest.approx(sign * (means[1] - means[0]))
