from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sysu30k_bench.errors import UsageError
from sysu30k_bench.results.ranked_run import RankedRun, as_run
from sysu30k_bench.results.slices import NO_VALUE, in_bins, slices
from sysu30k_bench.search.ranking import Ranking


def run_of(ranks: np.ndarray) -> RankedRun:
    rows = [(f"q{n}", f"m{n}", rank, rank, 1000, 0.5, 0.1 if rank == 1 else -0.1) for n, rank in enumerate(ranks)]
    table = pd.DataFrame(rows, columns=["query", "match", "rank_low", "rank_high", "ranked", "score", "margin"])
    return as_run("run", Ranking(table))


def keyed(values: list[object]) -> pd.Series:
    return pd.Series(values, index=[f"q{n}" for n in range(len(values))])


def test_each_slice_is_the_mean_of_its_queries_and_fisher_tests_it_against_the_rest() -> None:
    ranks = np.array([1] * 40 + [2] * 10 + [1] * 10 + [7] * 40)
    night = ["no"] * 50 + ["yes"] * 50
    found = {one.label: one for one in slices(run_of(ranks), in_bins(keyed(list(night)), 4))}
    assert found["no"].value == 0.8
    assert found["yes"].value == 0.2
    assert found["no"].difference == pytest.approx(0.6)
    p = stats.fisher_exact([[40, 10], [10, 40]]).pvalue
    assert found["no"].p == pytest.approx(p)
    assert found["no"].p_holm == pytest.approx(2 * p)
    assert found["no"].low < 0.8 < found["no"].high


def test_a_mean_that_is_no_share_of_hits_is_tested_by_permutation() -> None:
    rng = np.random.default_rng(0)
    ranks = np.concatenate([rng.integers(1, 4, 60), rng.integers(3, 30, 60)])
    by = in_bins(keyed(["a"] * 60 + ["b"] * 60), 4)
    found = slices(run_of(ranks), by, "ap_standard")
    assert found[0].value == pytest.approx((1 / ranks[:60]).mean())
    assert found[0].p is not None
    assert found[0].p < 0.001
    same = slices(run_of(rng.integers(1, 9, 120)), by, "ap_standard")
    assert same[0].p is not None
    assert same[0].p > 0.01


def test_holm_leaves_five_slices_of_one_kind_alone() -> None:
    rng = np.random.default_rng(3)
    found = slices(run_of(rng.integers(1, 3, 500)), in_bins(keyed(list(rng.integers(0, 5, 500))), 5))
    assert len(found) == 5
    assert all(one.p_holm is not None and one.p is not None and one.p_holm >= one.p for one in found)
    assert min(one.p_holm for one in found if one.p_holm is not None) > 0.05


def test_numbers_fall_into_bins_of_equal_counts_and_what_has_no_value_is_a_part_of_its_own() -> None:
    values = keyed([*range(100), "", None])
    parts = in_bins(values, 4)
    assert parts.value_counts(sort=False).tolist() == [25, 25, 25, 25, 2]
    assert parts.cat.categories.tolist()[0] == "0 to 24.75"
    assert parts.cat.categories.tolist()[-1] == NO_VALUE
    assert in_bins(keyed(["10", "9", "2"]), 4).cat.categories.tolist() == ["2", "9", "10"]
    with pytest.raises(UsageError, match="slices are too few or too many"):
        in_bins(keyed([f"person {n}" for n in range(101)]), 4)


def test_an_open_set_metric_says_why_it_cannot_be_sliced() -> None:
    with pytest.raises(UsageError, match="needs 1,000 non-mated searches"):
        slices(run_of(np.ones(50, int)), in_bins(keyed(["a"] * 50), 4), "fnir_at_fpir1")
    found = slices(run_of(np.tile([1, 2], 100)), in_bins(keyed(["a", "b"] * 100), 4), "fnir_at_fpir10")
    assert [one.n for one in found] == [100, 100]
