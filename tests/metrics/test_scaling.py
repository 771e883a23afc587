"""The scaling curve by hand, at its ends, and against Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.metrics.scaling import scaling_curve


def test_by_hand() -> None:
    """One match at rank 2 of 4: of three others one is better; among m - 1 drawn it is missing with 1 - (m - 1) / 3."""
    curve = scaling_curve(np.array([2]), np.array([4]), np.array([1, 2, 3, 4]))
    assert curve.tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_ends_are_certainty_and_rank_1() -> None:
    rng = np.random.default_rng(0)
    rank = rng.integers(0, 40, 300)
    ranked = np.full(300, 1000)
    curve = scaling_curve(rank, ranked, np.array([1, 10, 100, 1000, 1001]))
    assert curve[0] == pytest.approx((rank > 0).mean())
    assert curve[3] == pytest.approx((rank == 1).mean())
    assert np.isnan(curve[4])
    assert (np.diff(curve[:4]) <= 0).all()


def test_without_queries_nothing_is_known_and_every_query_needs_its_gallery() -> None:
    assert np.isnan(scaling_curve(np.array([], int), np.array([], int), np.array([1, 10]))).all()
    with pytest.raises(ValueError, match="shorter"):
        scaling_curve(np.array([1, 2, 3]), np.array([10, 10]), np.array([1]))


@pytest.mark.parametrize("size", [2, 30, 150])
def test_against_monte_carlo(size: int) -> None:
    rng = np.random.default_rng(size)
    rank, among = rng.integers(1, 60, 25), 200
    hits = []
    for _ in range(400):
        drawn = np.stack([rng.permutation(among - 1)[: size - 1] for _ in rank])  # the better ones are 0 to r - 2
        hits.append((drawn >= rank[:, None] - 1).all(axis=1).mean())
    expected = scaling_curve(rank, np.full(25, among), np.array([size]))[0]
    assert np.mean(hits) == pytest.approx(expected, abs=4 * np.std(hits) / 20 + 1e-9)
