from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.metrics.open_set.rates import det_curve, fnir, fpir, refusal, threshold_at, tpir
from tests.metrics.open_set import oracle


def scores(rng: np.random.Generator, count: int, *, ties: bool) -> np.ndarray:
    found = rng.normal(0.5, 0.1, count)
    return found.round(2) if ties else found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_rates_and_thresholds_are_those_of_counting(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    mated, other = scores(rng, 37, ties=ties) + 0.05, scores(rng, 120, ties=ties)
    for rate in (0.09, 0.1, 0.25, 0.5, 0.99):
        threshold = threshold_at(other, rate)
        assert threshold == pytest.approx(oracle.least_threshold(other.tolist(), rate), abs=1e-13)
        assert fpir(other, threshold) == oracle.alarms(other.tolist(), threshold) <= rate
        assert fnir(mated, threshold) == oracle.misses(mated.tolist(), threshold)


def test_by_hand() -> None:
    """Of 100 searches that score 0.00 to 0.99, ten score 0.90 or more."""
    other = np.arange(100) / 100
    threshold = threshold_at(other, 0.1)
    assert threshold == pytest.approx(0.89, abs=2e-12)
    assert threshold > 0.89
    assert fpir(other, threshold) == 0.1
    assert fnir(np.array([0.2, 0.89, 0.9, 0.95]), threshold) == 0.5
    found = np.array([1, 1, 0.5, 0])
    assert tpir(np.array([0.2, 0.89, 0.9, 0.95]), found, threshold) == 0.125


def test_ties_at_the_threshold_are_rejected_together_and_a_match_that_ties_with_them_is_missed() -> None:
    other = np.array([0.8] * 9 + [0.7] * 5 + [0.1] * 86)
    threshold = threshold_at(other, 0.1)  # ten may alarm: the five at 0.7 would make fourteen
    assert fpir(other, threshold) == 0.09
    assert fnir(np.array([0.7, 0.7 + 4e-13, 0.7 + 2e-12]), threshold) == pytest.approx(2 / 3)


def test_a_score_exactly_at_the_threshold_is_accepted() -> None:
    scores = np.array([0.7 - 1e-12, 0.7, 0.7 + 1e-12, 0.1])
    assert fnir(scores, 0.7) == 0.5
    assert fpir(scores, 0.7) == 0.5
    assert tpir(scores, np.array([1.0, 0.5, 1.0, 1.0]), 0.7) == 0.375


def test_the_curve_by_hand_lies_one_step_above_each_score_and_at_the_lowest() -> None:
    curve = det_curve(np.array([0.5, 0.5 + 1e-12, 0.9]), np.array([0.5, 0.7, 0.7, 0.5]))
    assert np.rint(curve.threshold * 1e12).tolist() == [700_000_000_001, 500_000_000_001, 500_000_000_000]
    assert curve.fpir.tolist() == [0, 0.5, 1]
    assert curve.fnir == pytest.approx([2 / 3, 1 / 3, 0])


def test_an_fpir_that_rests_on_fewer_than_ten_searches_is_refused_and_says_why() -> None:
    assert refusal(1000, 0.01) is None
    assert refusal(100, 0.1) is None
    said = refusal(999, 0.01)
    assert said is not None
    assert said == "FPIR 1 % needs 1,000 non-mated searches, so that 10 of them set the threshold; there are 999"
    with pytest.raises(ValueError, match="needs 100 non-mated searches"):
        threshold_at(np.zeros(99), 0.1)


def test_the_curve_passes_through_every_rate_that_a_threshold_gives() -> None:
    rng = np.random.default_rng(3)
    mated, other = scores(rng, 50, ties=True), scores(rng, 60, ties=True)
    curve = det_curve(mated, other)
    assert (np.diff(curve.fpir) > 0).all()
    assert (np.diff(curve.fnir) <= 0).all()
    assert (curve.fpir[0], curve.fpir[-1]) == (0, 1)
    for threshold, alarmed, missed in zip(*curve, strict=True):
        assert alarmed == oracle.alarms(other.tolist(), threshold)
        assert missed == oracle.misses(mated.tolist(), threshold)
    assert {round(60 * rate) for rate in curve.fpir} == {
        round(60 * oracle.alarms(other.tolist(), s)) for s in [*other, 9.0]
    }


def test_scores_far_beyond_the_grid_still_have_thresholds_between_them() -> None:
    other = np.concatenate([np.full(90, 1e9), np.full(10, 2e9)])
    threshold = threshold_at(other, 0.1)
    assert 1e9 < threshold < 2e9
    assert fpir(other, threshold) == 0.1
