"""The prediction of rank-1 in the whole gallery, recomputed one step at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from sysu30k_bench.metrics import extrapolation
from sysu30k_bench.metrics.extrapolation import Extrapolation, extrapolate_rank1

QUERIES = 60


def hit(rank: int, ranked: int, size: int) -> float:
    """Chance that none of the rank - 1 better ones is among size - 1 drawn of ranked - 1."""
    return math.comb(ranked - rank, size - 1) / math.comb(ranked - 1, size - 1) if rank >= 1 else 0.0


def log_odds(share: float) -> float:
    held = min(max(share, 0.5 / QUERIES), 1 - 0.5 / QUERIES)
    return math.log(held / (1 - held))


def bent(mine: Sequence[float], theirs: Sequence[float]) -> float:
    (first, last), (known_first, known_last, known_next) = mine, theirs
    slope = log_odds(known_first) - log_odds(known_last)
    steepness = min(max((log_odds(first) - log_odds(last)) / slope, 0.0), 4.0) if slope > 1e-9 else 1.0
    return 1 / (1 + math.exp(-log_odds(last) + steepness * (log_odds(known_last) - log_odds(known_next))))


def by_steps(rank: np.ndarray, known: np.ndarray, ranked: int, at_whole: np.ndarray, whole: int) -> Extrapolation:
    before = max(16, round(ranked * ranked / whole))
    sizes = [max(2, before // 8), before, max(2, ranked // 8), ranked]
    mine, theirs = (np.array([[hit(int(r), ranked, size) for size in sizes] for r in one]) for one in (rank, known))
    theirs = np.column_stack([theirs, at_whole == 1])
    most = float(mine[:, 3].mean())
    hindsight = bent(mine[:, :2].mean(0).tolist(), theirs[:, [0, 1, 3]].mean(0).tolist()) - most
    rng = np.random.default_rng(30_001)
    drawn = [
        bent(mine[picked, 2:].mean(0).tolist(), theirs[picked, 2:].mean(0).tolist())
        for picked in rng.integers(0, QUERIES, (2000, QUERIES))
    ]
    value = min(bent(mine[:, 2:].mean(0).tolist(), theirs[:, 2:].mean(0).tolist()), most)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Extrapolation(
        value,
        max(0.0, min(low, value) - abs(hindsight)),
        min(most, max(high, value) + abs(hindsight)),
        hindsight,
    )


def spread_ranks(seed: int, ranked: int, harder: float) -> np.ndarray:
    """Ranks over all scales, a third of them first, and two queries without a match."""
    rng = np.random.default_rng(seed)
    found: np.ndarray = np.ceil(np.exp(rng.random(QUERIES) * np.log(ranked) * harder)).astype(int).clip(1, ranked)
    found[: QUERIES // 3], found[-2:] = 1, 0
    return found


@pytest.mark.parametrize(
    ("ranked", "whole", "harder"), [(400, 2000, 1.0), (64, 500, 1.0), (400, 401, 0.7), (125, 900, 1.4)]
)
def test_the_prediction_and_its_interval_are_those_of_the_steps(ranked: int, whole: int, harder: float) -> None:
    """A common part, the smallest part, nearly the whole, and a run that is harder than the known one."""
    mine, known = spread_ranks(1, ranked, harder), spread_ranks(2, ranked, 1.0)
    at_whole = np.where(np.arange(QUERIES) < 12, known, known * 4)
    found = extrapolate_rank1(mine, known, ranked, at_whole, whole)
    expected = by_steps(mine, known, ranked, at_whole, whole)
    assert found == pytest.approx(expected, abs=1e-12)
    assert extrapolate_rank1(mine, known, 63, at_whole, whole) is None


@pytest.mark.parametrize("known_misses", [(200,), (3, 390)])
def test_a_known_curve_that_is_flat_or_nearly_so(known_misses: tuple[int, ...]) -> None:
    """Where the known run loses nothing over the last factor of eight, the loss beyond it is taken over as it is."""
    mine = spread_ranks(3, 400, 0.8)
    known = np.where(np.arange(QUERIES) < 30, 1, 400)
    known[40 : 40 + len(known_misses)] = known_misses
    flat = np.where(np.arange(QUERIES) < 30, 1, 0)
    for one in (known, flat):
        at_whole = np.where(np.arange(QUERIES) < 20, 1, 900)
        found = extrapolate_rank1(mine, one, 400, at_whole, 2000)
        assert found == pytest.approx(by_steps(mine, one, 400, at_whole, 2000), abs=1e-12)


EASY = np.where(np.arange(QUERIES) < 12, 2, 1)
LOST = np.full(QUERIES, 400)


@pytest.mark.parametrize(("mine", "known"), [(EASY, EASY), (LOST, EASY), (EASY, LOST), (LOST, LOST)])
@pytest.mark.parametrize("won", [0, 40])
def test_shares_are_held_half_a_query_away_from_none_and_all(mine: np.ndarray, known: np.ndarray, won: int) -> None:
    at_whole = np.where(np.arange(QUERIES) < won, known, 900)
    found = extrapolate_rank1(mine, known, 400, at_whole, 2000)
    assert found == pytest.approx(by_steps(mine, known, 400, at_whole, 2000), abs=1e-12)


def test_the_draws_are_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, known = spread_ranks(1, 400, 1.0), spread_ranks(2, 400, 1.0)
    whole = extrapolate_rank1(mine, known, 400, known * 4, 2000)
    monkeypatch.setattr(extrapolation, "_BLOCK", QUERIES * 7)
    assert extrapolate_rank1(mine, known, 400, known * 4, 2000) == pytest.approx(whole, abs=1e-12)


def test_a_narrower_level_has_a_narrower_interval() -> None:
    mine, known = spread_ranks(1, 400, 1.0), spread_ranks(2, 400, 1.0)
    at_whole = np.where(np.arange(QUERIES) < 12, known, known * 4)
    wide, narrow = (extrapolate_rank1(mine, known, 400, at_whole, 2000, level) for level in (0.95, 0.5))
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < narrow.high < wide.high
