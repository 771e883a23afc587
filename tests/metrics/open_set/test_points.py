from __future__ import annotations

import numpy as np
import pytest

from benchmarks.open_set_coverage import coverage
from sysu30k_bench.metrics.catalogue import OPEN_SET
from sysu30k_bench.metrics.open_set import points
from sysu30k_bench.metrics.open_set.points import (
    OperatingPoint,
    contributions,
    operating_point,
    paired_spread,
    resampled,
)
from sysu30k_bench.metrics.open_set.rates import fnir, threshold_at
from sysu30k_bench.metrics.open_set.searches import Searches
from tests.metrics.open_set import oracle


def drawn(seed: int, count: int = 200, *, gaps: bool = False) -> Searches:
    rng = np.random.default_rng(seed)
    mated, other = rng.normal(0.6, 0.1, count).round(3), rng.normal(0.45, 0.08, count).round(3)
    if gaps:
        mated[::7], other[::11] = np.nan, np.nan
    return oracle.searches(mated, other)


def point(searches: Searches, rate: float) -> OperatingPoint:
    found = operating_point(searches, rate)
    assert isinstance(found, OperatingPoint)
    return found


def test_a_point_is_what_counting_gives() -> None:
    searches = drawn(0, gaps=True)
    found = point(searches, 0.1)
    mated = searches.mated[searches.with_mate].tolist()
    other = searches.other[searches.without_mate].tolist()
    assert found.threshold == pytest.approx(oracle.least_threshold(other, 0.1), abs=1e-13)
    assert found.fnir.value == pytest.approx(oracle.misses(mated, found.threshold))
    assert found.fpir.value == oracle.alarms(other, found.threshold)
    for limit, value in found.tpir.items():
        hits = searches.found[limit][searches.with_mate] * (np.array(mated) >= found.threshold)
        assert value.value == pytest.approx(hits.mean())
        assert value.low <= value.value <= value.high <= 1 - found.fnir.low + 0.1


@pytest.mark.parametrize("gaps", [False, True])
def test_each_draw_is_the_statistic_of_the_queries_drawn(gaps: bool) -> None:
    searches = drawn(1, 120, gaps=gaps)
    fast = resampled(searches, 0.2, [None, 1], resamples=25, seed=5)
    rng = np.random.default_rng(5)
    picked = rng.integers(0, 120, (25, 120), dtype=np.int32)
    for number, places in enumerate(picked):
        one = searches.take(places)
        threshold = oracle.least_threshold(one.other[one.without_mate].tolist(), 0.2)
        hit = one.mated[one.with_mate] >= threshold - 5e-13
        assert fast[0, number] == pytest.approx(hit.mean())
        assert fast[1, number] == pytest.approx((hit * one.found[1][one.with_mate]).mean())


def test_draws_at_a_high_rate_leave_out_queries_without_others_or_matches() -> None:
    """Four levels: the threshold of most draws is the lowest, or the one above it."""
    rng = np.random.default_rng(8)
    mated, other = rng.integers(4, 8, 100) / 10, rng.integers(4, 8, 100) / 10
    mated[::5], other[::4] = np.nan, np.nan
    searches = oracle.searches(mated, other)
    for rate in (0.7, 0.95):
        fast = resampled(searches, rate, [None], resamples=25, seed=5)[0]
        for number, places in enumerate(np.random.default_rng(5).integers(0, 100, (25, 100), dtype=np.int32)):
            one = searches.take(places)
            threshold = oracle.least_threshold(one.other[one.without_mate].tolist(), rate)
            assert fast[number] == pytest.approx((one.mated[one.with_mate] >= threshold - 5e-13).mean())


def test_one_mated_query_is_found_or_not_in_every_draw() -> None:
    mated = np.full(100, np.nan)
    mated[3] = 0.9
    found = resampled(oracle.searches(mated, np.linspace(0, 0.5, 100)), 0.1, [None], resamples=200)[0]
    drawn = (np.random.default_rng(30_002).integers(0, 100, (200, 100), dtype=np.int32) == 3).any(axis=1)
    assert found.tolist() == drawn.astype(float).tolist()


def test_draws_are_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = drawn(3, 120, gaps=True)
    whole = resampled(searches, 0.1, [None, 1], resamples=25)
    for cells in (1, 120 * 7):
        monkeypatch.setattr(points, "_CELLS", cells)
        assert np.array_equal(resampled(searches, 0.1, [None, 1], resamples=25), whole)


def test_contributions_average_to_the_point_and_leave_out_what_is_no_mated_search() -> None:
    searches = drawn(2, gaps=True)
    found = point(searches, 0.1)
    for name in [name for name in OPEN_SET if name.endswith("fpir10")]:
        values = contributions(searches, name)
        assert isinstance(values, np.ndarray)
        assert np.isnan(values).tolist() == (~searches.with_mate).tolist()
        wanted = found.fnir if name.startswith("fnir") else found.tpir[int(name[4:].partition("_")[0])]
        assert np.nanmean(values) == pytest.approx(wanted.value)
        assert isinstance(contributions(searches, name.replace("fpir10", "fpir1")), str)


def test_what_cannot_be_had_says_why() -> None:
    assert "needs 1,000 non-mated searches" in str(operating_point(drawn(0), 0.01))
    nobody = oracle.searches(np.full(200, np.nan), np.linspace(0, 1, 200))
    assert operating_point(nobody, 0.1) == "no query has a match, so there is no miss rate"


def test_a_run_against_itself_differs_by_nothing() -> None:
    found = paired_spread(drawn(4), drawn(4), "fnir_at_fpir10")
    assert found == (0, 0, 0)


def test_a_shift_of_every_match_is_found_with_its_sign() -> None:
    first = drawn(5)
    better = oracle.searches(first.mated + 0.05, first.other)
    missed = paired_spread(first, better, "fnir_at_fpir10")
    found = paired_spread(first, better, "tpir20_at_fpir10")
    assert not isinstance(missed, str)
    assert not isinstance(found, str)
    assert missed.high < 0 < found.low
    threshold = threshold_at(first.other, 0.1)
    assert missed.value == pytest.approx(fnir(better.mated, threshold) - fnir(first.mated, threshold))


def test_where_all_searches_agree_the_interval_is_wilsons() -> None:
    other = np.linspace(0, 0.4, 200)
    found = point(oracle.searches(np.full(200, 0.9), other), 0.1)
    assert found.fnir.value == found.fnir.low == 0
    assert found.fnir.high == pytest.approx(1.96**2 / (200 + 1.96**2), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("queries", "rate"), [(1000, 0.01), (316, 0.1)])
@pytest.mark.parametrize(("shape", "correlation"), [("t", 0.0), ("normal", 0.5)])
def test_intervals_hold_the_true_rate_nineteen_times_in_twenty(
    queries: int, rate: float, shape: str, correlation: float
) -> None:
    """Two thousand sets have a standard error of half a point; `benchmarks.open_set_coverage` prints all."""
    held = coverage(queries, rate, 0.3, shape, correlation, 2000)[0]
    assert 0.94 - 0.01 <= held <= 0.96 + 0.01
