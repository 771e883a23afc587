"""Predictions of rank-1 in the whole gallery: limits by hand, and their intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.metrics.extrapolation import extrapolate_rank1

QUERIES, WHOLE, PART = 1000, 200_000, 20_000


def ranks(rng: np.random.Generator, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks in the whole, and in a part of the others drawn from it, of queries that a share of the others beats."""
    before = rng.binomial(WHOLE - 1, share)
    return 1 + before, 1 + rng.hypergeometric(before, WHOLE - 1 - before, PART - 1)


def shares(rng: np.random.Generator, kind: str, shift: float) -> np.ndarray:
    """How much of the gallery beats each query's match: three shapes of difficulty."""
    if kind == "log-normal":
        return np.minimum(10 ** rng.normal(-4.5 + shift, 2.0, QUERIES), 1)
    if kind == "two kinds":
        easy = rng.random(QUERIES) < 0.35 - 0.2 * shift
        return np.where(easy, 1e-9, np.minimum(10 ** rng.normal(-3 + shift, 1.0, QUERIES), 1))
    return rng.beta(0.15 + 0.05 * shift, 2.0, QUERIES)


@pytest.mark.parametrize("kind", ["log-normal", "two kinds", "beta"])
@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.3])
def test_intervals_hold_the_truth(kind: str, shift: float) -> None:
    rng = np.random.default_rng(7)
    held, errors = 0, []
    for _ in range(20):
        whole, part = ranks(rng, shares(rng, kind, 0.0))
        known, _ = ranks(rng, shares(rng, kind, shift))
        found = extrapolate_rank1(part, PART, known, WHOLE)
        truth = float((whole == 1).mean())
        held += found.low <= truth <= found.high
        errors.append(found.value - truth)
    assert held >= 18
    assert abs(np.mean(errors)) < 0.02


def test_the_same_run_predicts_itself() -> None:
    rng = np.random.default_rng(1)
    whole, part = ranks(rng, shares(rng, "log-normal", 0.0))
    found = extrapolate_rank1(part, PART, whole, WHOLE)
    assert found.value == pytest.approx(float((whole == 1).mean()), abs=0.02)
    assert abs(found.hindsight) < 0.02
    assert found == extrapolate_rank1(part, PART, whole, WHOLE)


def test_never_above_the_part_and_never_outside_zero_and_one() -> None:
    rng = np.random.default_rng(2)
    for mine, theirs in ((1.0, -1.0), (-1.0, 1.0)):
        _, part = ranks(rng, shares(rng, "log-normal", mine))
        known, _ = ranks(rng, shares(rng, "log-normal", theirs))
        found = extrapolate_rank1(part, PART, known, WHOLE)
        assert 0 <= found.low <= found.value <= found.high <= (part == 1).mean()


@pytest.mark.parametrize(("mine", "value"), [(1, 1.0), (PART, 0.0), (0, 0.0)])
def test_runs_that_solve_everything_or_nothing(mine: int, value: float) -> None:
    rng = np.random.default_rng(3)
    known, _ = ranks(rng, shares(rng, "log-normal", 0.0))
    found = extrapolate_rank1(np.full(QUERIES, mine), PART, known, WHOLE)
    assert found.value == pytest.approx(value, abs=0.02)
    flat = extrapolate_rank1(np.full(QUERIES, 3), PART, np.full(QUERIES, 1), WHOLE)
    assert 0 <= flat.low <= flat.value <= flat.high <= 1


@pytest.mark.parametrize(("part", "whole"), [(20, 1000), (1000, 1000), (2000, 1000)])
def test_parts_that_say_nothing(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="says nothing"):
        extrapolate_rank1(np.ones(10), part, np.ones(10), whole)
