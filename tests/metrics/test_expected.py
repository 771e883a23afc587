from __future__ import annotations

import itertools

import numpy as np
import pytest

from sysu30k_bench.metrics.expected import (
    TieGroup,
    expected_inverse_last_rank,
    expected_precision_sums,
    group_ties,
    hit_probability,
)


def orders(group: TieGroup) -> list[list[int]]:
    """Ranks of the group's matches in every order of the group."""
    return [
        [group.before + 1 + place for place in places]
        for places in itertools.combinations(range(group.size), group.matches)
    ]


def precision_sums(ranks: list[int], earlier: int) -> tuple[float, float]:
    standard = trapezoid = 0.0
    for number, rank in enumerate(ranks):
        new, old = (earlier + number + 1) / rank, (earlier + number) / (rank - 1) if rank > 1 else 1.0
        standard += new
        trapezoid += (new + old) / 2
    return standard, trapezoid


GROUPS = [
    TieGroup(before, earlier, size, matches)
    for before, earlier in ((0, 0), (1, 0), (1, 1), (5, 2))
    for size in range(1, 7)
    for matches in range(1, size + 1)
]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_against_every_order(group: TieGroup) -> None:
    all_ranks = orders(group)
    for k in range(1, 15):
        assert hit_probability(group, k) == pytest.approx(np.mean([ranks[0] <= k for ranks in all_ranks]), abs=1e-12)
    expected = np.mean([precision_sums(ranks, group.matches_before) for ranks in all_ranks], axis=0)
    assert expected_precision_sums(group) == pytest.approx(expected, abs=1e-12)
    assert expected_inverse_last_rank(group) == pytest.approx(
        np.mean([1 / ranks[-1] for ranks in all_ranks]), abs=1e-10
    )


def test_groups_of_one_query() -> None:
    low, high = np.array([4, 1, 4, 9]), np.array([7, 1, 7, 9])
    assert group_ties(low, high) == [TieGroup(0, 0, 1, 1), TieGroup(3, 1, 4, 2), TieGroup(8, 3, 1, 1)]


def test_large_groups_stay_exact() -> None:
    group = TieGroup(0, 0, 478_731, 1)
    assert hit_probability(group, 1) == pytest.approx(1 / 478_731, rel=1e-12)
    assert expected_precision_sums(group)[0] == pytest.approx(sum(1 / n for n in range(1, 478_732)) / 478_731, rel=1e-9)
    many = TieGroup(0, 0, 10_000, 50)
    missed = np.prod([(10_000 - 50 - j) / (10_000 - j) for j in range(20)])
    assert hit_probability(many, 20) == pytest.approx(1 - missed, rel=1e-9)
