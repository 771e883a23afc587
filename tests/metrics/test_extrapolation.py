"""Predictions of rank-1 in the whole gallery: limits by hand, and their intervals by simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sysu30k_bench.metrics.extrapolation import Extrapolation, extrapolate_rank1

QUERIES, KEPT, WHOLE, PART = 1000, 1000, 200_000, 20_000


def ranks(rng: np.random.Generator, share: np.ndarray, worse: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Ranks in the whole and in a part, of queries that a share of the others beats.

    The part holds all of the first thousand others, the matches of other queries, which may be worse impostors, and a
    random part of the rest.
    """
    near = rng.binomial(KEPT - 1, np.minimum(share * worse, 1))
    far = rng.binomial(WHOLE - KEPT, share)
    drawn = rng.hypergeometric(far, WHOLE - KEPT - far, PART - KEPT)
    return 1 + near + far, 1 + near + drawn


def shares(rng: np.random.Generator, kind: str, shift: float) -> np.ndarray:
    """How much of the gallery beats each query's match: three shapes of difficulty."""
    if kind == "log-normal":
        return np.minimum(10 ** rng.normal(-4.5 + shift, 2.0, QUERIES), 1)
    if kind == "two kinds":
        easy = rng.random(QUERIES) < 0.35 - 0.2 * shift
        return np.where(easy, 1e-9, np.minimum(10 ** rng.normal(-3 + shift, 1.0, QUERIES), 1))
    return rng.beta(0.15 + 0.05 * shift, 2.0, QUERIES)


def predict(mine: tuple[np.ndarray, np.ndarray], known: tuple[np.ndarray, np.ndarray]) -> Extrapolation:
    found = extrapolate_rank1(mine[1], known[1], PART, known[0], WHOLE)
    assert found is not None
    return found


KINDS, SHIFTS, WORSE = ("log-normal", "two kinds", "beta"), (-0.3, 0.0, 0.3), (1.0, 20.0)


def simulate(kind: str, shift: float, worse: float, times: int) -> tuple[int, list[float]]:
    """How often the interval holds rank-1 in the whole, and by how much each prediction is off."""
    rng = np.random.default_rng(7)
    held, errors = 0, []
    for _ in range(times):
        mine = ranks(rng, shares(rng, kind, 0.0), worse)
        found = predict(mine, ranks(rng, shares(rng, kind, shift), worse))
        truth = float((mine[0] == 1).mean())
        held += found.low <= truth <= found.high
        errors.append(found.value - truth)
    return held, errors


def test_intervals_hold_the_truth_over_all_shapes() -> None:
    found = [simulate(*case, times=2) for case in product(KINDS, SHIFTS, WORSE)]
    assert sum(held for held, _ in found) >= 33  # of 36
    assert abs(np.mean([errors for _, errors in found])) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("worse", WORSE)
def test_intervals_hold_the_truth_for_every_shape(kind: str, shift: float, worse: float) -> None:
    held, errors = simulate(kind, shift, worse, times=20)
    assert held >= 18
    assert abs(np.mean(errors)) < 0.02


def test_a_run_predicts_itself_exactly_whatever_the_part_is_like() -> None:
    rng = np.random.default_rng(1)
    for worse in (1.0, 50.0):
        mine = ranks(rng, shares(rng, "log-normal", 0.0), worse)
        found = predict(mine, mine)
        assert found.value == pytest.approx(float((mine[0] == 1).mean()), abs=1e-9)
        assert found.hindsight == pytest.approx(0, abs=1e-9)
        assert found == predict(mine, mine)


def test_never_above_the_part_and_never_outside_zero_and_one() -> None:
    rng = np.random.default_rng(2)
    for mine, theirs in ((1.0, -1.0), (-1.0, 1.0)):
        part = ranks(rng, shares(rng, "log-normal", mine))
        found = predict(part, ranks(rng, shares(rng, "log-normal", theirs)))
        assert 0 <= found.low <= found.value <= found.high <= (part[1] == 1).mean()


def test_of_a_part_that_is_too_easy_nothing_is_said() -> None:
    rng = np.random.default_rng(3)
    known = ranks(rng, shares(rng, "log-normal", 0.0))
    easy = np.where(np.arange(QUERIES) < 9, 5, 1)
    assert extrapolate_rank1(easy, known[1], PART, known[0], WHOLE) is None
    assert extrapolate_rank1(known[1], easy, PART, easy, WHOLE) is None
    assert extrapolate_rank1(np.where(np.arange(QUERIES) < 10, 5, 1), known[1], PART, known[0], WHOLE) is not None
    assert extrapolate_rank1(known[1], known[1], 50, known[0], WHOLE) is None


@pytest.mark.parametrize("mine", [PART, 0])
def test_what_loses_every_query_in_the_part_loses_them_in_the_whole(mine: int) -> None:
    rng = np.random.default_rng(3)
    known = ranks(rng, shares(rng, "log-normal", 0.0))
    found = extrapolate_rank1(np.full(QUERIES, mine), known[1], PART, known[0], WHOLE)
    assert found is not None
    assert (found.low, found.value, found.high) == pytest.approx((0, 0, 0), abs=1e-3)


@pytest.mark.parametrize(("part", "whole"), [(1000, 1000), (2000, 1000)])
def test_what_is_no_part(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="are not a part"):
        extrapolate_rank1(np.ones(10), np.ones(10), part, np.ones(10), whole)
