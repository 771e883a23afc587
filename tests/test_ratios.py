"""The rule by which a benchmark's ratio has fallen, beside its noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.ratios import Pair, Ratio, fell, measure


def test_a_ratio_is_of_the_two_times_of_one_round_and_the_first_round_only_warms_up() -> None:
    ours, theirs = iter([9.0, 1.0, 2.0, 4.0]), iter([9.0, 2.0, 2.0, 2.0])
    found = measure(Pair("one", ours.__next__, theirs.__next__), 3)
    assert found.rounds == [2.0, 1.0, 0.5]
    assert found.median == 1.0
    assert found.error == pytest.approx(1.858 * 0.5 / 3**0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], False),
        ([0.96, 0.96, 0.96], [1.0, 1.0, 1.0], False),
        ([0.94, 0.94, 0.94], [1.0, 1.0, 1.0], True),
        ([0.6, 0.7, 0.8], [0.9, 1.0, 1.1], False),
        ([0.3, 0.4, 0.5], [0.9, 1.0, 1.1], True),
        ([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], False),
    ],
)
def test_a_fall_is_more_than_the_spread_of_both_and_a_twentieth(
    now: list[float], before: list[float], said: bool
) -> None:
    assert fell(Ratio(now), Ratio(before)) is said


@pytest.mark.parametrize(("slower", "least", "most"), [(1.0, 0, 10), (2.0, 180, 200)])
def test_equal_ways_are_rarely_said_to_have_fallen_and_much_slower_ones_nearly_always(
    slower: float, least: int, most: int
) -> None:
    """Times that waver by a tenth, five rounds, two hundred trials."""
    rng = np.random.default_rng(0)

    def way(seconds: float) -> Callable[[], float]:
        return lambda: seconds * float(np.exp(rng.normal(0, 0.1)))

    said = [
        fell(measure(Pair("now", way(slower), way(1.0)), 5), measure(Pair("then", way(1.0), way(1.0)), 5))
        for _ in range(200)
    ]
    assert least <= sum(said) <= most
