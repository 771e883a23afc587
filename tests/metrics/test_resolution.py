from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sysu30k_bench.metrics.resolution import mcnemar_power, said, smallest_difference


def power_by_counting(n: int, discordance: float, difference: float) -> float:
    """Sums over how many queries differ and how many of them are won; the test is scipy's own."""
    won = (1 + difference / discordance) / 2
    total = 0.0
    for differing in range(1, n + 1):
        weight = stats.binom.pmf(differing, n, discordance)
        for wins in range(differing + 1):
            if stats.binomtest(wins, differing).pvalue < 0.05:
                total += weight * stats.binom.pmf(wins, differing, won)
    return total


@pytest.mark.parametrize(("n", "discordance", "difference"), [(12, 0.9, 0.8), (30, 0.4, 0.3), (40, 0.2, 0.05)])
def test_power_is_that_of_counting_every_outcome(n: int, discordance: float, difference: float) -> None:
    assert mcnemar_power(n, discordance, difference) == pytest.approx(power_by_counting(n, discordance, difference))


def test_power_where_thousands_of_queries_all_differ() -> None:
    critical = max(c for c in range(1900, 2000) if 2 * stats.binom.cdf(c, 4000, 0.5) < 0.05)
    won = (1 + 0.04) / 2
    expected = stats.binom.cdf(critical, 4000, won) + stats.binom.sf(4000 - critical - 1, 4000, won)
    assert mcnemar_power(4000, 1.0, 0.04) == pytest.approx(expected)


def test_a_p_value_of_exactly_the_level_rejects_nothing() -> None:
    """Six wins of six have p = 1/32."""
    assert mcnemar_power(6, 1.0, 1.0, alpha=1 / 32) == 0
    assert mcnemar_power(6, 1.0, 1.0, alpha=1 / 32 + 1e-9) == pytest.approx(1)


@pytest.mark.parametrize("discordance", [0.05, 0.2])
def test_the_smallest_difference_is_found_four_times_in_five(discordance: float) -> None:
    found = smallest_difference(1000, discordance)
    assert found is not None
    rng = np.random.default_rng(1)
    won, lost, _ = rng.multinomial(
        1000, [(discordance + found) / 2, (discordance - found) / 2, 1 - discordance], size=3000
    ).T
    p = 2 * stats.binom.cdf(np.minimum(won, lost), won + lost, 0.5)
    assert (p < 0.05).mean() == pytest.approx(0.8, abs=0.025)
    assert found < discordance


def test_more_queries_tell_smaller_differences_and_few_tell_none() -> None:
    by_n = [smallest_difference(n, 0.1) for n in (300, 1000, 3000)]
    assert all(value is not None for value in by_n)
    assert by_n == sorted(by_n, reverse=True)  # type: ignore[type-var]
    assert smallest_difference(30, 0.1) is None
    assert smallest_difference(1000, 0.0) is None


def test_the_sentence() -> None:
    assert said(1000, (0.05, 0.2)) == (
        "1,000 queries: with 80 % power, the paired test detects differences of rank-1 from 2.0 points if 5 % of the "
        "queries differ, 4.0 points if 20 % of the queries differ"
    )
    assert (
        said(30, (0.02, 0.05))
        == "30 queries: with 80 % power, the paired test detects no difference if 5 % of them differ"
    )
    assert said(40, (0.05, 0.1, 0.4)).endswith("; none if 10 % or fewer differ")
    assert said(1).startswith("1 query: with 80 % power, the paired test detects no difference")
