"""How often intervals hold the truth and tests cry wolf: computed exactly where that can be, else simulated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sysu30k_bench.metrics.intervals import bootstrap_mean, median, wilson
from sysu30k_bench.results.compare import mcnemar


@pytest.mark.parametrize("share", [0.02, 0.109, 0.116, 0.127, 0.269, 0.36, 0.9])
def test_wilsons_interval_covers_the_share_in_95_of_100_samples_of_1000(share: float) -> None:
    covered = 0.0
    for hits in range(1001):
        weight = stats.binom.pmf(hits, 1000, share)
        if weight > 1e-9:
            _, low, high = wilson(hits, 1000)
            covered += weight * (low <= share <= high)
    assert 0.935 < covered < 0.965


@pytest.mark.parametrize("hits", [0, 1, 1000])
def test_the_ends_are_within_the_unit_and_hold_the_estimate(hits: int) -> None:
    value, low, high = wilson(hits, 1000)
    assert 0 <= low <= value <= high <= 1
    assert (low == 0) == (hits == 0)
    assert (high == 1) == (hits == 1000)


def test_no_end_leaves_the_unit_by_rounding() -> None:
    for n in range(1, 400):
        assert wilson(n, n).high == 1
        assert wilson(0, n).low == 0


@pytest.mark.parametrize("differing", [6, 20, 100])
def test_mcnemars_test_cries_wolf_in_at_most_5_of_100(differing: int) -> None:
    """Given how many queries differ, either way is equally likely where neither run is better."""
    size = 0.0
    for only_first in range(differing + 1):
        first = np.array([True] * only_first + [False] * (differing - only_first))
        if mcnemar(first, ~first) < 0.05:
            size += stats.binom.pmf(only_first, differing, 0.5)
    assert 0 < size <= 0.05


def test_the_bootstrap_covers_a_mean_of_average_precisions() -> None:
    """AP of one match is 1 over its rank: half of the queries at 1, the others spread over many scales."""
    rng = np.random.default_rng(0)

    def draw(count: int) -> np.ndarray:
        return np.where(rng.random(count) < 0.3, 1.0, 1 / np.ceil(np.exp(rng.normal(5, 3, count))))

    truth = draw(2_000_000).mean()
    held = 0
    for _ in range(200):
        _, low, high = bootstrap_mean(draw(300), resamples=400)
        held += low <= truth <= high
    assert 0.90 <= held / 200 <= 0.985


def test_the_bootstrap_has_the_quantiles_of_the_means_of_its_seeded_draws() -> None:
    values = np.random.default_rng(2).random(25) ** 3
    picked = np.random.default_rng(30_000).integers(0, 25, (2000, 25))
    low, high = np.quantile(values[picked].mean(axis=1), [0.025, 0.975])
    assert bootstrap_mean(values) == pytest.approx((values.mean(), low, high))
    low, high = np.quantile(values[picked[:400]].mean(axis=1), [0.1, 0.9])
    assert bootstrap_mean(values, 0.8, 400) == pytest.approx((values.mean(), low, high))
    assert bootstrap_mean(np.array([0.0, 1.0])) == (0.5, 0, 1)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_values_leave_open_what_wilsons_bound_leaves_open(n: int) -> None:
    """The share of others that n equal values allow may lie at either end of what a value can be."""
    for level in (0.95, 0.8):
        z2 = stats.norm.ppf((1 + level) / 2) ** 2
        others = z2 / (n + z2)
        found = bootstrap_mean(np.full(n, 0.3), level)
        assert found == pytest.approx((0.3, 0.3 - 0.3 * others, 0.3 + 0.7 * others))
        found = bootstrap_mean(np.full(n, 0.3), level, reach=(-1.0, 2.0))
        assert found == pytest.approx((0.3, 0.3 - 1.3 * others, 0.3 + 1.7 * others))


@pytest.mark.parametrize(("n", "low", "high"), [(6, 1, 6), (10, 2, 9), (11, 2, 10), (20, 6, 15), (101, 41, 61)])
def test_the_ends_of_the_medians_interval_are_the_order_statistics_of_the_tables(n: int, low: int, high: int) -> None:
    """Conover's table A3 and its like: the 2nd and the 9th of ten; the interval is symmetric in ranks."""
    found = median(np.random.default_rng(n).permutation(np.arange(1.0, n + 1)))
    assert (found.low, found.high) == (low, high)
    assert low + high == n + 1
    beyond = stats.binom.cdf(low - 1, n, 0.5) + stats.binom.sf(high - 1, n, 0.5)
    assert beyond <= 0.06


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_than_six_values_bound_no_median(n: int) -> None:
    """The ends of five values enclose the median in 1 - 2/32 = 93.75 % of samples, which is less than promised."""
    assert tuple(median(np.ones(n))) == (1.0, -np.inf, np.inf)


def test_the_interval_of_the_median_is_distribution_free() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = median(np.exp(rng.normal(3, 2, 101)))
        held += found.low <= np.exp(3) <= found.high
    assert held / 400 >= 0.93
