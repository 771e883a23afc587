"""Tango's bound: by hand, and its exact size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sysu30k_bench.metrics.paired import lowest_difference


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_no_flip_at_all_proves_as_much_as_n_allows(n: int) -> None:
    """With no pair that differs the score equation is n d / (1 - d) = z^2."""
    z = stats.norm.ppf(0.95)
    assert lowest_difference(0, 0, n, 0.05) == pytest.approx(-(z**2) / (n + z**2), abs=1e-9)


def test_bound_is_below_the_estimate_and_grows_with_it() -> None:
    bounds = [lowest_difference(won, 30, 1000, 0.05) for won in range(0, 100, 10)]
    assert (np.diff(bounds) > 0).all()
    assert all(bound < (won - 30) / 1000 for won, bound in zip(range(0, 100, 10), bounds, strict=True))
    assert lowest_difference(5, 20, 200, 0.01) < lowest_difference(5, 20, 200, 0.10)
    assert lowest_difference(0, 10, 10, 0.05) >= -1


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
