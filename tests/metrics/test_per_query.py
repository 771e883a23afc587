"""What each query contributes, by hand over every order of its ties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sysu30k_bench.metrics.per_query import per_query_metrics

MATCHES = [("b", 1, 4), ("a", 5, 5), ("b", 1, 4), ("a", 2, 3)]
"""`a` has matches at 2 or 3 and at 5; both of `b` tie with two others at the top."""


def metrics(query: list[str], rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    return per_query_metrics(query, pd.DataFrame(rows, columns=["query", "rank_low", "rank_high"]))


def test_two_queries_with_ties_and_one_without_a_match() -> None:
    found = metrics(["c", "a", "b"], MATCHES)
    assert found.index.tolist() == ["c", "a", "b"]
    assert found.index.name == "query"
    pairs = {(1, 2): (1, 1), (1, 3): (1, 7 / 12), (1, 4): (1, 5 / 12), (2, 3): (1 / 4, 7 / 12), (2, 4): (1 / 4, 5 / 12),
             (3, 4): (1 / 6, 5 / 12)}  # fmt: skip
    expected = {
        "rank1": (0, 0, 1 / 2),
        "rank5": (0, 1, 1),
        "rank10": (0, 1, 1),
        "rank20": (0, 1, 1),
        "ap_standard": (0, ((1 / 2 + 1 / 3) / 2 + 2 / 5) / 2, np.mean([(1 / a + 2 / b) / 2 for a, b in pairs])),
        "ap_trapezoid": (0, ((1 / 4 + 1 / 6) / 2 + 13 / 40) / 2, np.mean(list(pairs.values()))),
        "minp": (0, 2 / 5, np.mean([2 / last for _, last in pairs])),
        "first_rank": (np.nan, 5 / 2, np.mean([first for first, _ in pairs])),
        "optimistic": (np.nan, 2, 1),
        "pessimistic": (np.nan, 3, 3),
    }
    assert found.columns.tolist() == list(expected)
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, nan_ok=True), name


def test_matches_that_tie_with_each_other_alone_are_worth_one_and_no_more() -> None:
    for count in range(1, 60):
        row = metrics(["q"], [("q", 1, count)] * count).iloc[0]
        for name in ("rank1", "ap_standard", "ap_trapezoid", "minp"):
            assert 1 - 1e-12 < row[name] <= 1, (name, count)
