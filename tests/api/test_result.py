from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sysu30k_bench as sb
from sysu30k_bench.report.page import make_report


def scored(seed: int = 0, noise: float = 1.0, **options: Any) -> sb.Result:
    rng = np.random.default_rng(5)
    centres, ids = rng.standard_normal((40, 8)), np.arange(40)
    rng = np.random.default_rng(seed)
    query, gallery = (centres + noise * rng.standard_normal((40, 8)) for _ in range(2))
    return sb.score(query, gallery, query_ids=ids, gallery_ids=ids, **options)


def test_cmc_at_the_headline_ranks_is_theirs_and_rises_to_one() -> None:
    result = scored()
    for k in (1, 5, 10, 20):
        assert result.cmc(k) == getattr(result, f"rank{k}")
    values = [result.cmc(k).value for k in range(1, 41)]
    assert values == sorted(values)
    assert values[-1] == 1
    for bad in (0, 1.5, "1"):
        with pytest.raises(sb.UsageError, match="k is"):
            result.cmc(bad)  # type: ignore[arg-type]


def test_a_saved_result_is_a_run_that_everything_reads(tmp_path: Path) -> None:
    result = scored(name="mine")
    assert result.folder is None
    folder = result.save(tmp_path / "run")
    loaded = sb.load_run(folder)
    assert loaded.metrics == result.metrics
    assert loaded.ranking.equals(result.ranking)
    assert loaded.top.equals(result.top)
    assert loaded.record == result.record
    assert "<html" in make_report(folder)
    again = loaded.save(tmp_path / "copy")
    assert {file.name: file.read_bytes() for file in again.iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    assert sb.load_run(folder / "ranking.csv").record == result.record
    alone = sb.load_run(shutil.copy(folder / "ranking.csv", tmp_path))
    assert alone.record is None
    assert alone.metrics == pytest.approx(result.metrics)
    assert not alone.official
    with pytest.raises(sb.DataError, match="no list of the best images"):
        _ = alone.top


def test_a_run_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    first, second = scored(0), scored(1)
    first.save(tmp_path / "run")
    with pytest.raises(sb.UsageError, match="already contains a run"):
        second.save(tmp_path / "run")
    second.save(tmp_path / "run", overwrite=True)
    assert sb.load_run(tmp_path / "run").metrics == second.metrics
    (tmp_path / "run/embeddings").mkdir()
    with pytest.raises(sb.UsageError, match="already contains a run"):
        first.save(tmp_path / "run", overwrite=True)


def test_a_damaged_run_is_refused(tmp_path: Path) -> None:
    folder = scored().save(tmp_path / "run")
    path = folder / "ranking.csv"
    path.write_bytes(path.read_bytes().replace(b"gallery/1,", b"gallery/2,", 1))
    with pytest.raises(sb.IntegrityError, match=r"ranking\.csv"):
        sb.load_run(folder)
    with pytest.raises(sb.DataError, match="there is no run"):
        sb.load_run(tmp_path / "nowhere")


def test_runs_are_compared_whether_in_memory_or_on_the_disk(tmp_path: Path) -> None:
    good, bad = scored(0, noise=0.3), scored(1, noise=2.0)
    folder = bad.save(tmp_path / "bad")
    pair = sb.compare(good, folder).pairs[0]
    assert (pair.first, pair.second) == ("arrays", "bad")
    assert pair.rank1.value < 0
    assert pair.p < 0.05
    first, second, said = str(sb.compare(good, folder)).splitlines()
    assert first.startswith(f"arrays: rank-1 {good.rank1.value * 100:.2f}")
    assert second.startswith(f"bad: rank-1 {bad.rank1.value * 100:.2f}")
    assert said.startswith(f"bad less arrays: rank-1 {(bad.rank1.value - good.rank1.value) * 100:+.2f} points")
    assert f"{len(pair.only_second)} queries won and {len(pair.only_first)} lost" in said
    assert [run.name for run in sb.compare(good, bad, scored(2)).runs] == ["arrays (1)", "arrays (2)", "arrays (3)"]
    with pytest.raises(sb.UsageError, match="needs two runs"):
        sb.compare(good)


def test_a_gate_passes_the_same_run_and_fails_a_worse_one() -> None:
    good, bad = scored(0, noise=0.3), scored(1, noise=2.0)
    assert sb.gate(good, good, max_drop=0.1).passed
    verdict = sb.gate(bad, good, max_drop=0.1)
    assert (verdict.passed, verdict.outcome) == (False, "worse")
    assert "more than the limit of 10.00 points" in verdict.reason
    assert str(verdict) == f"worse: {verdict.reason}"
    with pytest.raises(sb.UsageError, match="max_drop is '1pp'"):
        sb.gate(bad, good, max_drop="1pp")  # type: ignore[arg-type]
    with pytest.raises(sb.UsageError, match="no metric"):
        sb.gate(bad, good, metric="map")


def test_it_reads_well_and_its_names_are_escaped() -> None:
    result = scored(name="<b>mine</b>")
    text, html = repr(result), result._repr_html_()
    assert text.splitlines()[0] == "<b>mine</b> on own-labels (not official): 40 queries, 40 gallery images"
    assert f"rank-1          {result.rank1.value * 100:>7.2f}" in text
    assert "&lt;b&gt;mine" in html
    assert "<b>" not in html
    assert html.count("<tr>") == 9


def test_tables_that_are_handed_out_are_copies() -> None:
    result = scored()
    ranking, top, per_query = result.ranking, result.top, result.per_query
    ranking["rank_low"], top["match"], per_query["rank1"] = 1, 0, 0.0
    assert result.top["match"].sum() > 0
    assert result.per_query["rank1"].mean() == pytest.approx(result.rank1.value)
    assert result.ranking["rank_low"].max() > 1
