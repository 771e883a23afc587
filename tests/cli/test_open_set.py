"""Open-set rates, peers' figures and slices on the command line, from a ranking alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sysu30k_bench.search.ranking import Ranking
from tests.conftest import Outcome

Bench = Callable[..., Outcome]
QUERIES = 1000


def write(folder: Path, seed: int, shift: float = 0.0, queries: int = QUERIES) -> Path:
    """A run folder that holds a ranking alone: one match a query among a thousand images."""
    rng = np.random.default_rng(1)
    score, best = rng.normal(0.6, 0.1, queries), rng.normal(0.45, 0.08, queries)
    score = score + shift + np.random.default_rng(seed).normal(0, 0.02, queries)
    rank = np.where(score > best, 1, 1 + np.random.default_rng(seed).integers(1, 900, queries))
    keys = [f"query/{n:05d}.jpg" for n in range(queries)]
    table = {"query": keys, "match": [f"gallery/{n:05d}.jpg" for n in range(queries)], "rank_low": rank}
    table |= {"rank_high": rank, "ranked": 1000, "score": score, "margin": score - best}
    folder.mkdir()
    Ranking(pd.DataFrame(table)).write(folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A run, a better one, and one of 90 queries."""
    above = tmp_path_factory.mktemp("runs")
    return write(above / "old", 2), write(above / "new", 3, 0.06), write(above / "few", 2, queries=90)


def test_score_prints_misses_at_false_alarms_and_says_why_where_it_cannot(
    bench: Bench, runs: tuple[Path, Path, Path]
) -> None:
    found = bench("score", runs[0], "--json").json["open_set"]
    assert found["mated"] == found["non_mated"] == QUERIES
    assert found["reached_fpir1"]["value"] <= 0.01
    assert found["fnir_at_fpir1"]["low"] < found["fnir_at_fpir1"]["value"] < found["fnir_at_fpir1"]["high"]
    assert found["fnir_at_fpir10"]["value"] < found["fnir_at_fpir1"]["value"]
    assert found["tpir20_at_fpir1"]["value"] >= found["tpir1_at_fpir1"]["value"]
    printed = bench("score", runs[0]).out
    assert "FNIR@FPIR 1 %" in printed
    few = bench("score", runs[2])
    assert "FNIR@FPIR" not in few.out
    assert "FPIR 10 % needs 100 non-mated searches" in few.out


def test_score_prints_any_rank_and_the_figures_of_others(bench: Bench, runs: tuple[Path, Path, Path]) -> None:
    found = bench("score", runs[0], "--ranks", "3,1", "--json").json["figures"]
    assert list(found["figures"]) == ["rank-1", "rank-3"]
    every = bench("score", runs[0], "--figures", "all")
    assert "R-precision" in every.out
    assert "TPR at FPR 0.001: there is no top.csv" in every.out
    wrong = bench("score", runs[0], "--ranks", "0,1")
    assert wrong.code == 2
    assert "no list of ranks" in wrong.err


def test_compare_and_gate_know_that_fewer_misses_are_better(bench: Bench, runs: tuple[Path, Path, Path]) -> None:
    old, new, few = runs
    (pair,) = bench("compare", old, new, "--json").json["pairs"]
    assert pair["open_set"]["fnir_at_fpir1"]["high"] < 0
    assert 0 < pair["finds"] < 0.1
    assert "80 % power" in bench("compare", old, new).out
    better = bench("gate", new, "--baseline", old, "--metric", "fnir_at_fpir1", "--max-drop", "0pp", "--json")
    worse = bench("gate", old, "--baseline", new, "--metric", "fnir_at_fpir1", "--json")
    assert (better.code, worse.code) == (0, 1)
    assert better.json["outcome"] == "passed"
    assert worse.json["outcome"] == "worse"
    assert worse.json["run_value"] > worse.json["baseline_value"]
    assert worse.json["difference"] == pytest.approx(worse.json["baseline_value"] - worse.json["run_value"])
    assert "fnir_at_fpir1 changed by +" in worse.json["reason"]
    refused = bench("gate", few, "--baseline", few, "--metric", "fnir_at_fpir1")
    assert refused.code == 2
    assert "needs 1,000 non-mated searches" in refused.err


def test_slices_by_a_table(bench: Bench, runs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    keys = [f"query/{n:05d}.jpg" for n in range(QUERIES)]
    table = pd.DataFrame({"key": keys, "level": np.arange(QUERIES) % 3, "height": np.arange(QUERIES)})
    table.to_csv(tmp_path / "mine.csv", index=False)
    before = sorted(path.name for path in runs[0].iterdir())
    found = bench("slices", runs[0], "--by", f"{tmp_path / 'mine.csv'}:level", "--json").json
    assert [one["n"] for one in found["slices"]] == [334, 333, 333]
    shown = bench("slices", runs[0], "--by", f"{tmp_path / 'mine.csv'}:height", "--metric", "fnir_at_fpir10")
    assert "0 to 249.75" in shown.out
    assert "no slice differs significantly" in shown.out
    assert sorted(path.name for path in runs[0].iterdir()) == before
    for by, code, said in (
        (f"{tmp_path / 'mine.csv'}:depth", 2, "has no column 'depth'"),
        (f"{tmp_path / 'none.csv'}:level", 3, "there is no table"),
        ("colour", 2, "is no FILE.csv:COLUMN"),
        ("camera", 3, "has no embeddings"),
        ("sharpness", 2, "has no result.json"),
    ):
        outcome = bench("slices", runs[0], "--by", by)
        assert outcome.code == code, by
        assert said in outcome.err
