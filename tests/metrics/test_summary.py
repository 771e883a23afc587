from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sysu30k_bench.metrics.intervals import bootstrap_mean, median, wilson
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.search.ranking import Ranking


def ranking(rows: list[tuple[str, str, int | None, int | None]], ranked: int = 1000) -> Ranking:
    table = pd.DataFrame(rows, columns=["query", "match", "rank_low", "rank_high"])
    return Ranking(
        table.assign(ranked=ranked, score=0.5, margin=0.0).astype({"rank_low": "Int64", "rank_high": "Int64"})
    )


def reference(ranks: list[int]) -> tuple[float, float, float]:
    """Standard AP, trapezoid AP and INP of one query, as one would write them down."""
    ranks = sorted(ranks)
    standard = trapezoid = 0.0
    for number, rank in enumerate(ranks):
        precision, old = (number + 1) / rank, number / (rank - 1) if rank > 1 else 1.0
        standard += precision / len(ranks)
        trapezoid += (precision + old) / 2 / len(ranks)
    return standard, trapezoid, len(ranks) / ranks[-1]


@pytest.mark.parametrize(("rank", "trapezoid"), [(1, 1.0), (2, 0.25), (3, 1 / 6), (4, 0.125), (5, 0.1), (1000, 0.0005)])
def test_single_match(rank: int, trapezoid: float) -> None:
    summary = summarise(ranking([("q", "g", rank, rank)]))
    assert summary.ap_trapezoid.value == pytest.approx(trapezoid)
    assert summary.ap_standard.value == pytest.approx(1 / rank)
    assert summary.minp.value == pytest.approx(1 / rank)
    assert [summary.rank[k].value for k in (1, 5, 10, 20)] == [float(rank <= k) for k in (1, 5, 10, 20)]


@given(st.lists(st.sets(st.integers(1, 60), min_size=1, max_size=8), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_without_ties_equals_the_definitions(queries: list[set[int]]) -> None:
    rows = [(f"q{n}", f"g{rank}", rank, rank) for n, ranks in enumerate(queries) for rank in sorted(ranks)]
    summary = summarise(ranking(rows))
    expected = np.mean([reference(list(ranks)) for ranks in queries], axis=0)
    assert (summary.ap_standard.value, summary.ap_trapezoid.value, summary.minp.value) == pytest.approx(tuple(expected))
    assert summary.rank[5].value == pytest.approx(np.mean([min(ranks) <= 5 for ranks in queries]))
    assert summary.rank1_optimistic == summary.rank1_pessimistic == pytest.approx(summary.rank[1].value)
    assert summary.ap_trapezoid_pessimistic == pytest.approx(summary.ap_trapezoid.value)


def test_unmatched_queries_count_as_misses() -> None:
    summary = summarise(ranking([("a", "g", 1, 1), ("b", "", None, None), ("c", "", None, None), ("d", "g", 2, 2)]))
    assert summary.n == 4
    assert summary.rank[1].value == 0.25
    assert summary.ap_standard.value == pytest.approx(1.5 / 4)
    assert summary.median_rank is None


def test_a_few_queries_without_a_match_leave_the_median_and_its_interval_known() -> None:
    """Of thirty ranks the interval ends at the 10th and the 21st."""
    rows: list[tuple[str, str, int | None, int | None]] = [(f"q{n}", "g", n, n) for n in range(1, 30)]
    summary = summarise(ranking([*rows, ("lost", "", None, None)]))
    assert summary.median_rank == (15.5, 10, 21)


def test_constant_network_scores_one_over_the_gallery() -> None:
    gallery = 478_731
    summary = summarise(ranking([(f"q{n}", "g", 1, gallery) for n in range(10)], gallery))
    assert summary.rank[1].value == pytest.approx(1 / gallery)
    assert summary.rank[20].value == pytest.approx(20 / gallery)
    assert (summary.rank1_optimistic, summary.rank1_pessimistic) == (1.0, 0.0)
    assert summary.ap_standard.value < 3e-5
    assert summary.ap_trapezoid_pessimistic == pytest.approx(1 / (2 * gallery))
    assert summary.median_rank is not None
    assert summary.median_rank.value == (gallery + 1) / 2


def test_ties_between_matches_of_one_query_cost_nothing() -> None:
    summary = summarise(ranking([("q", "a", 1, 2), ("q", "b", 1, 2)]))
    assert summary.rank[1].value == 1.0
    assert summary.ap_standard.value == summary.minp.value == pytest.approx(1.0)
    assert summary.rank1_pessimistic == 1.0
    assert summary.ap_trapezoid_pessimistic == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),
        (10, 10, 0.72247, 1.0),
        (109, 1000, 0.09116, 0.12983),
        (127, 1000, 0.10778, 0.14907),
        (3, 10, 0.10779, 0.60322),
    ],
)
def test_wilson_by_hand(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == pytest.approx((hits / n, low, high), abs=1e-5)


@given(st.floats(0, 50), st.integers(50, 2000))
@settings(deadline=None)
def test_wilson_holds_its_value_for_expectations(hits: float, n: int) -> None:
    value, low, high = wilson(hits, n)
    assert 0 <= low <= value <= high <= 1


def test_bootstrap_covers_and_repeats() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        interval = bootstrap_mean(rng.random(80))
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= 50
    values = rng.random(80)
    assert bootstrap_mean(values) == bootstrap_mean(values)


@pytest.mark.parametrize(
    ("values", "expected"), [([3.0], 3.0), ([1.0, 4.0], 2.5), ([5.0, 1.0, 9.0], 5.0), ([1.0, 2.0, 3.0, np.inf], 2.5)]
)
def test_median(values: list[float], expected: float) -> None:
    interval = median(np.array(values))
    assert interval.value == expected
    assert interval.low <= expected <= interval.high
