"""Comparisons by hand, by simulation, and on runs that cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.gate.gate import gate
from sysu30k_bench.gate.verdict_forms import junit, markdown
from sysu30k_bench.results.compare import compare, least_difference, mcnemar, paired_difference
from sysu30k_bench.results.ranked_run import RankedRun, aligned, read_run, read_runs
from sysu30k_bench.search.ranking import COLUMNS


def write_ranking(folder: Path, ranks: list[int], *, gallery: int = 1000, names: list[str] | None = None) -> Path:
    """A ranking of one match a query, at the given ranks; 0 is a query without a match."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = names or [f"q{number}" for number in range(len(ranks))]
    rows = [
        (key, f"g{key}", rank, rank, gallery, 0.5, 0.1) if rank else (key, "", None, None, gallery, None, None)
        for key, rank in zip(keys, ranks, strict=True)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rank_low": "Int64", "rank_high": "Int64"})
    table.to_csv(folder / "ranking.csv", index=False)
    return folder


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 0), (6, 0), (10, 3), (40, 41), (1, 200)])
def test_mcnemar_is_that_of_statsmodels(only_first: int, only_second: int) -> None:
    first = np.array([True] * only_first + [False] * only_second + [True] * 7 + [False] * 9)
    second = np.array([False] * only_first + [True] * only_second + [True] * 7 + [False] * 9)
    expected = statsmodels_mcnemar([[7, only_first], [only_second, 9]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(min(1.0, expected))


def test_the_least_difference_that_can_be_shown() -> None:
    assert least_difference(None) == 6  # 2 / 2^6 = .031, 2 / 2^5 = .063
    assert least_difference(5) == 6
    assert least_difference(6) == 6
    for differing in (10, 37, 100):
        net = least_difference(differing)
        fewer = (differing - net) // 2
        first = np.array([True] * (differing - fewer) + [False] * fewer)
        assert mcnemar(first, ~first) < 0.05
        closer = np.array([True] * (differing - fewer - 1) + [False] * (fewer + 1))
        assert mcnemar(closer, ~closer) >= 0.05
    assert least_difference(0) == 1


def test_a_comparison_by_hand(tmp_path: Path) -> None:
    one = read_run(write_ranking(tmp_path / "one", [1, 1, 1, 1, 2, 4, 0, 1]))
    two = read_run(write_ranking(tmp_path / "two", [1, 2, 1, 1, 1, 1, 1, 1]))
    found = compare([one, two])
    (pair,) = found.pairs
    assert found.n == 8
    assert [run.rank1 for run in found.runs] == [5 / 8, 7 / 8]
    assert [run.ap_standard for run in found.runs] == pytest.approx([(5 + 1 / 2 + 1 / 4) / 8, (7 + 1 / 2) / 8])
    assert (pair.only_first, pair.only_second) == (["q1"], ["q4", "q5", "q6"])
    assert pair.rank1.value == pytest.approx(2 / 8)
    assert pair.p == pytest.approx(2 * (1 + 4) / 16)
    assert pair.rank1.low < pair.rank1.value < pair.rank1.high


def test_queries_are_paired_by_key_not_by_place(tmp_path: Path) -> None:
    one = read_run(write_ranking(tmp_path / "one", [1, 2, 3], names=["a", "b", "c"]))
    two = read_run(write_ranking(tmp_path / "two", [3, 1, 2], names=["c", "a", "b"]))
    (pair,) = compare([one, two]).pairs
    assert (pair.only_first, pair.only_second, pair.p, pair.rank1.value) == ([], [], 1.0, 0.0)
    assert pair.rank1.low == -pair.rank1.high < 0, "three equal queries do not prove that all others are equal"


def test_many_runs_are_corrected_by_holm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    runs = [read_run(write_ranking(tmp_path / str(number), list(rng.integers(1, 3, 60)))) for number in range(4)]
    pairs = compare(runs).pairs
    assert len(pairs) == 6
    ordered = sorted(pair.p for pair in pairs)
    expected = np.maximum.accumulate([min(1.0, (6 - place) * p) for place, p in enumerate(ordered)])
    assert sorted(pair.p_holm for pair in pairs) == pytest.approx(expected.tolist())


def test_runs_that_cannot_be_compared(tmp_path: Path) -> None:
    base = read_run(write_ranking(tmp_path / "base", [1, 2, 3]))
    others = {
        "have different queries: 2": write_ranking(tmp_path / "a", [1, 2, 3], names=["q0", "q1", "x"]),
        "have different queries: 1": write_ranking(tmp_path / "b", [1, 2, 3, 4]),
        "galleries of other sizes": write_ranking(tmp_path / "c", [1, 2, 3], gallery=999),
    }
    for said, path in others.items():
        with pytest.raises(UsageError, match=said):
            aligned([base, read_run(path)])
    with pytest.raises(DataError, match="no ranking"):
        read_run(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "ranking.csv").write_text("a,b\n1,2\n")
    with pytest.raises(IntegrityError):
        read_run(tmp_path / "d")


def test_coverage_of_the_paired_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysu30k_bench.results.compare.RESAMPLES", 400)
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        shared = rng.random(400)
        first = (shared < 0.25).astype(float)
        second = np.where(rng.random(400) < 0.1, rng.random(400) < 0.45, first).astype(float)  # + .02 on average
        found = paired_difference(first, second)
        inside += found.low <= 0.1 * (0.45 - 0.25) <= found.high
    assert 0.90 <= inside / 200 <= 0.99


def draw_runs(rng: np.random.Generator, n: int, drop: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits of a baseline at 30 %, and of a run that loses `drop`, with 8 % of the queries changing sides by chance."""
    first = rng.random(n) < 0.3
    second = first.copy()
    second[(rng.random(n) < (0.04 + drop) / 0.3) & first] = False
    second[(rng.random(n) < 0.04 / 0.7) & ~first] = True
    return first.astype(float), second.astype(float)


def test_size_of_the_gate_is_near_alpha_and_its_power_is_high(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of runs that are worse by just the largest drop about alpha pass; of unchanged ones nearly all."""
    monkeypatch.setattr("sysu30k_bench.results.compare.RESAMPLES", 400)
    rng = np.random.default_rng(2)
    worse = [paired_difference(*draw_runs(rng, 1000, 0.02), level=0.9).low >= -0.02 for _ in range(300)]
    assert np.mean(worse) <= 0.09
    same = [paired_difference(*draw_runs(rng, 1000, 0.0), level=0.9).low >= -0.03 for _ in range(100)]
    assert np.mean(same) >= 0.9


@pytest.mark.parametrize(
    ("ranks", "outcome"),
    [
        ([1] * 300 + [3] * 700, "passed"),
        ([1] * 200 + [2] * 800, "worse"),
        ([2] * 30 + [1] * 295 + [2] * 675, "not shown"),
        ([1] * 400 + [2] * 600, "passed"),
    ],
)
def test_verdicts(tmp_path: Path, ranks: list[int], outcome: str) -> None:
    baseline = read_run(write_ranking(tmp_path / "base", [1] * 300 + [2] * 700))
    verdict = gate(read_run(write_ranking(tmp_path / "new", ranks)), baseline, max_drop=0.01)
    assert verdict.outcome == outcome
    assert verdict.passed == (outcome == "passed")
    assert verdict.n == 1000
    assert len(verdict.lost) - len(verdict.won) == round((0.3 - verdict.run_value) * 1000)


def test_few_queries_prove_little_even_where_none_flips(tmp_path: Path) -> None:
    baseline = read_run(write_ranking(tmp_path / "base", [1] * 30 + [2] * 70))
    verdict = gate(baseline, baseline, max_drop=0.01)
    assert verdict.outcome == "not shown"
    assert verdict.bound == pytest.approx(-0.0263, abs=1e-3)
    assert gate(baseline, baseline, max_drop=0.03).passed


def test_verdicts_of_other_metrics_and_of_nonsense(tmp_path: Path) -> None:
    base = read_run(write_ranking(tmp_path / "base", [1, 2, 4, 8] * 50))
    worse = read_run(write_ranking(tmp_path / "new", [1, 3, 4, 8] * 50))
    assert gate(worse, base, max_drop=0.02).passed
    assert gate(worse, base, max_drop=0.01, metric="ap_standard").outcome == "worse"
    for options in (
        {"max_drop": -0.1},
        {"max_drop": 2.0},
        {"max_drop": 0.1, "alpha": 0.7},
        {"max_drop": 0.1, "metric": "mAP"},
    ):
        with pytest.raises(UsageError):
            gate(worse, base, **options)  # type: ignore[arg-type]


def test_forms_are_escaped(tmp_path: Path) -> None:
    from xml.etree import ElementTree as ET

    base = read_run(write_ranking(tmp_path / "base", [1] * 50, names=[f"<b>|\x07{n}" for n in range(50)]))
    new = read_run(write_ranking(tmp_path / "a|b<script>", [2] * 50, names=[f"<b>|\x07{n}" for n in range(50)]))
    verdict = gate(new, base, max_drop=0.01)
    tree = ET.fromstring(junit(verdict))  # noqa: S314  our own bytes
    assert tree.get("failures") == "1"
    failure = tree.find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "worse"
    text = markdown(verdict)
    assert "<script>" not in text
    assert "a\\|b" in text
    assert all(line.count(" | ") == 1 for line in text.splitlines()[2:9])


def test_ties_count_on_both_sides_of_the_gate_alike(tmp_path: Path) -> None:
    """Two hundred queries that tie in the baseline and lose outright in the candidate: no hit of either, no drop."""
    tied = write_ranking(tmp_path / "tied", [1] * 1000)
    path = tied / "ranking.csv"
    table = pd.read_csv(path)
    table.loc[:199, "rank_high"] = 2
    table.to_csv(path, index=False)
    lost = write_ranking(tmp_path / "lost", [2] * 200 + [1] * 800)
    for metric in ("rank1", "rank5"):
        verdict = gate(read_run(lost), read_run(tied), max_drop=0.01, metric=metric)
        assert verdict.bound <= verdict.difference == 0
    back = gate(read_run(tied), read_run(lost), max_drop=0.01)
    assert (back.difference, back.run_value) == (0, 0.8)
    worse = gate(read_run(lost), read_run(write_ranking(tmp_path / "good", [1] * 1000)), max_drop=0.01)
    assert (worse.outcome, worse.difference) == ("worse", pytest.approx(-0.2))


@pytest.mark.parametrize("metric", ["ap_standard", "ap_trapezoid", "minp"])
def test_one_query_proves_nothing_for_any_metric(tmp_path: Path, metric: str) -> None:
    run = read_run(write_ranking(tmp_path / "one", [3]))
    verdict = gate(run, run, max_drop=0.01, metric=metric)
    assert verdict.outcome == "not shown"
    assert verdict.bound < -0.5


@pytest.mark.parametrize(("queries", "drop"), [(60, 0.01), (300, 0.01), (1000, 0.002)])
def test_size_of_the_gate_for_average_precision(monkeypatch: pytest.MonkeyPatch, queries: int, drop: float) -> None:
    """Of candidates that are worse by just the limit, at most some five in a hundred pass."""
    monkeypatch.setattr("sysu30k_bench.results.compare.RESAMPLES", 500)
    rng = np.random.default_rng(5)
    share = 4 * drop / 3  # of the queries that fall from rank 1 to rank 4: each loses three quarters
    keys = [f"q{number}" for number in range(queries)]
    passed = 0
    for _ in range(120):
        before = np.ones(queries, int)
        after = np.where(rng.random(queries) < share, 4, 1)
        runs = [run_of(keys, ranks) for ranks in (after, before)]
        passed += gate(*runs, max_drop=drop, metric="ap_standard").passed
    assert passed / 120 <= 0.1


def run_of(keys: list[str], ranks: np.ndarray) -> RankedRun:
    per_query = pd.DataFrame({"rank1": ranks == 1, "ap_standard": 1 / ranks, "pessimistic": ranks}, index=keys)
    return RankedRun("run", per_query, ranks == 1, pd.Series(1000, index=keys), None)


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [write_ranking(tmp_path / place / "run", [1, 2]) for place in ("new", "released")]
    assert [run.name for run in read_runs(paths)] == ["new/run", "released/run"]
    assert [run.name for run in read_runs(paths[:1])] == ["run"]


def test_rankings_of_other_galleries_are_refused_without_their_records(tmp_path: Path) -> None:
    one = read_run(write_ranking(tmp_path / "one", [1, 2, 3]))
    other = write_ranking(tmp_path / "other", [1, 2, 3])
    path = other / "ranking.csv"
    path.write_text(path.read_text().replace(",gq", ",OTHERq"))
    with pytest.raises(UsageError, match="have different matches"):
        aligned([one, read_run(other)])
