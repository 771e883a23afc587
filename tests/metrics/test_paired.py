"""Tango's bound: by hand, and its exact size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from sysu30k_bench.metrics.paired import lowest_difference


@pytest.mark.parametrize("n", [1, 3, 10, 100, 1000])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_no_flip_at_all_proves_as_much_as_n_allows(n: int, alpha: float) -> None:
    """With no pair that differs the score equation is n d / (1 - d) = z^2."""
    z = stats.norm.ppf(1 - alpha)
    assert lowest_difference(0, 0, n, alpha) == pytest.approx(-(z**2) / (n + z**2), abs=1e-9)


def test_bound_is_below_the_estimate_and_grows_with_it() -> None:
    bounds = [lowest_difference(won, 30, 1000, 0.05) for won in range(0, 100, 10)]
    assert (np.diff(bounds) > 0).all()
    assert all(bound < (won - 30) / 1000 for won, bound in zip(range(0, 100, 10), bounds, strict=True))
    assert lowest_difference(5, 20, 200, 0.01) < lowest_difference(5, 20, 200, 0.10)
    assert lowest_difference(0, 10, 10, 0.05) >= -1


def likeliest_lost(won: float, lost: float, n: int, difference: float) -> float:
    """Probability that only the first has a pair, under a hypothesised difference: the likelihood's maximum."""

    def unlikely(share: float) -> float:
        cells = (won, share + difference), (lost, share), (n - won - lost, 1 - 2 * share - difference)
        return -sum(count * math.log(chance) for count, chance in cells if count)

    least, most = max(0.0, -difference), (1 - difference) / 2
    found = optimize.minimize_scalar(unlikely, bounds=(least, most), method="bounded", options={"xatol": 1e-12})
    return float(found.x)


@pytest.mark.parametrize(("won", "lost", "n"), [(7, 1, 21), (1, 7, 21), (30, 50, 400), (2.5, 0.5, 40), (12, 30, 42)])
@pytest.mark.parametrize("alpha", [0.025, 0.2])
def test_at_the_bound_the_score_statistic_is_the_quantile(won: float, lost: float, n: int, alpha: float) -> None:
    bound = lowest_difference(won, lost, n, alpha)
    share = likeliest_lost(won, lost, n, bound)
    score = (won - lost - n * bound) / np.sqrt(n * (2 * share + bound - bound**2))
    assert score == pytest.approx(stats.norm.ppf(1 - alpha), rel=1e-4)


def test_published_bounds() -> None:
    """Airway responsiveness of 21 children, 7 and 1 of whom changed (Fagerland et al., Statist. Med. 33, 2014)."""
    assert lowest_difference(7, 1, 21, 0.025) == pytest.approx(0.026, abs=5e-4)
    assert lowest_difference(1, 7, 21, 0.025) == pytest.approx(-0.517, abs=5e-4)


def test_where_every_pair_is_lost_nothing_is_bounded() -> None:
    assert lowest_difference(0, 10, 10, 0.05) == lowest_difference(0, 1, 1, 0.2) == -1


@pytest.mark.parametrize(("n", "drop"), [(1000, 0.01), (1000, 0.02), (300, 0.03)])
def test_size_where_the_candidate_only_loses(n: int, drop: float) -> None:
    """The exact chance of passing a run that is worse by just the limit, over all numbers of lost queries."""
    lost = np.arange(n + 1)
    chance = stats.binom.pmf(lost, n, drop)
    passes = np.array([lowest_difference(0, int(one), n, 0.05) > -drop for one in lost[: int(4 * n * drop)]])
    assert chance[: len(passes)][passes].sum() <= 0.075


@pytest.mark.parametrize("flips", [0.02, 0.08])
def test_size_where_queries_flip_both_ways(flips: float) -> None:
    rng = np.random.default_rng(3)
    n, drop = 1000, 0.01
    won = rng.binomial(n, flips / 2, 400)
    lost = rng.binomial(n, flips / 2 + drop, 400)
    passed = [lowest_difference(int(a), int(b), n, 0.05) > -drop for a, b in zip(won, lost, strict=True)]
    assert np.mean(passed) <= 0.09
