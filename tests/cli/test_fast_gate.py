"""`gate --fast` as a build runs it: on a checkpoint, in a fixed part of the gallery."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.gate.subset_ranks import gallery_keys, rank_within
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.ranking import read_ranking
from tests.conftest import Outcome
from tests.sealing import retell

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fast") / "twin"
    write_twin(root, TwinRequest(identities=60, distractors=500), Silent())
    return root


@pytest.fixture(scope="module")
def baseline(bench: Bench, data: Path, stripes_checkpoint: Path) -> Path:
    run = data.parent / "whole"
    assert bench("eval", stripes_checkpoint, "--data", data, "--output", run).code == 0
    return run


@pytest.fixture(scope="module")
def part(bench: Bench, data: Path, stripes_checkpoint: Path) -> Path:
    run = data.parent / "part"
    words = ["eval", stripes_checkpoint, "--data", data, "--output", run, "--distractors", "100", "--json"]
    done = bench(*words)
    assert done.code == 0, done.err
    assert done.json["data"]["whole_gallery"] == 560
    assert done.json["counts"]["gallery"] == 160
    assert "--distractors: 100 of 500 distractors" in done.json["not_official_because"]
    return run


def test_a_whole_runs_ranks_in_a_part_are_those_of_a_run_on_the_part(baseline: Path, part: Path) -> None:
    keys = gallery_keys(RunFolder(part))
    within = rank_within(RunFolder(baseline), keys, SearchRequest(), Silent()).table
    direct = read_ranking(part / "ranking.csv").table
    assert within[["query", "match", "rank_low", "rank_high", "ranked"]].equals(
        direct[["query", "match", "rank_low", "rank_high", "ranked"]]
    )
    assert np.abs(within["score"].to_numpy(float) - direct["score"].to_numpy(float)).max() < 1e-6


def test_a_checkpoint_against_a_whole_baseline(
    bench: Bench, data: Path, stripes_checkpoint: Path, baseline: Path, tmp_path: Path
) -> None:
    words = ["gate", stripes_checkpoint, "--fast", "--distractors", "100", "--data", data, "--baseline", baseline]
    words += ["--max-drop", "10pp"]
    done = bench(*words, "--json", "--junit", tmp_path / "gate.xml", "--markdown", tmp_path / "gate.md", cwd=tmp_path)
    assert done.code == 0, done.err
    verdict = done.json
    assert (verdict["outcome"], verdict["lost"], verdict["won"], verdict["gallery"]) == ("passed", [], [], 160)
    predicted = verdict["predicted"]
    known = read_ranking(baseline / "ranking.csv").table
    truth = float((known["rank_high"] == 1).mean())
    assert predicted["gallery"] == 560
    assert predicted["baseline"] == pytest.approx(truth)
    assert predicted["rank1"] == pytest.approx(truth)  # the same network
    assert predicted["low"] <= truth <= predicted["high"] <= verdict["run_value"]
    assert "in the whole gallery of 560 rank1 is predicted" in (tmp_path / "gate.md").read_text()
    case = ET.parse(tmp_path / "gate.xml").getroot().find("testcase/system-out")  # noqa: S314  our own
    assert case is not None
    assert "predicted" in str(case.text)
    text = bench(*words, cwd=tmp_path)
    assert "in the whole gallery of 560 rank1 is predicted to be" in text.out


def test_a_worse_run_fails_and_two_parts_are_paired_without_a_prediction(
    bench: Bench, data: Path, stripes_checkpoint: Path, part: Path, baseline: Path, tmp_path: Path
) -> None:
    worse = tmp_path / "worse"
    words = ["eval", stripes_checkpoint, "--data", data, "--output", worse, "--distractors", "100", "--flip", "none"]
    assert bench(*words).code == 0
    table = read_ranking(worse / "ranking.csv").table
    (worse / "ranking.csv").write_text(
        table.assign(rank_low=2, rank_high=2).to_csv(index=False, lineterminator="\n"), encoding="utf-8"
    )
    (worse / "result.json").write_text((part / "result.json").read_text())
    retell(worse)
    same = bench("gate", worse, "--fast", "--baseline", part, "--json")
    assert same.code == 1
    assert same.json["outcome"] == "worse"
    assert same.json["predicted"] is None
    against = bench("gate", worse, "--fast", "--baseline", baseline, "--json")
    assert against.code == 1
    assert against.json["predicted"]["rank1"] == pytest.approx(0, abs=1e-3)
    larger = tmp_path / "larger"
    words = ["eval", stripes_checkpoint, "--data", data, "--output", larger, "--distractors", "200"]
    assert bench(*words).code == 0
    table = read_ranking(baseline / "ranking.csv").table  # as if the baseline had skipped all but the part's images
    few = tmp_path / "few"
    shutil.copytree(baseline, few)
    (few / "ranking.csv").write_text(table.assign(rank_low=1, rank_high=1, ranked=160).to_csv(index=False))
    retell(few)
    assert bench("gate", part, "--fast", "--baseline", few, "--json", "--max-drop", "10pp").json["predicted"] is None
    nested = bench("gate", part, "--fast", "--baseline", larger, "--json", "--max-drop", "10pp")
    assert (nested.code, nested.json["predicted"], nested.json["lost"]) == (0, None, [])


def test_what_fast_cannot_do(
    bench: Bench, data: Path, stripes_checkpoint: Path, part: Path, baseline: Path, own_twin: Path, tmp_path: Path
) -> None:
    whole = bench("gate", baseline, "--fast", "--baseline", baseline)
    assert (whole.code, "did not search a part" in whole.err) == (2, True)
    unpaired = bench("gate", part, "--baseline", baseline)
    assert (unpaired.code, "galleries of other sizes" in unpaired.err) == (2, True)
    assert "--fast" in unpaired.err
    for words, said in (
        ([part, "--data", data], "--data: for --fast"),
        ([part, "--device", "cpu"], "--device: for --fast"),
        ([stripes_checkpoint], "--fast evaluates a checkpoint"),
        ([part, "--fast", "--data", data, "--distractors", "7"], "--data, --distractors: "),
        ([part / "ranking.csv", "--fast"], "a ranking alone has no images"),
    ):
        stray = bench("gate", *words, "--baseline", baseline)
        assert (stray.code, said in stray.err) == (2, True), stray.err
    early = bench("gate", stripes_checkpoint, "--fast", "--data", data, "--baseline", tmp_path / "no", cwd=tmp_path)
    assert (early.code, (tmp_path / "runs").exists()) == (3, False)
    both = bench("eval", stripes_checkpoint, "--data", data, "--limit", "5", "--distractors", "5", cwd=tmp_path)
    assert (both.code, "exclude each other" in both.err) == (2, True)
    lone = bench("gate", stripes_checkpoint, "--fast", "--baseline", baseline, cwd=tmp_path)
    assert (lone.code, "--data is missing" in lone.err) == (2, True)
    other = tmp_path / "other"
    assert bench("eval", stripes_checkpoint, "--data", own_twin, "--output", other, "--distractors", "3").code == 0
    strange = bench("gate", other, "--fast", "--baseline", baseline)
    assert strange.code == 2
    assert "are not in the gallery of" in strange.err or "have different queries" in strange.err
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("ranking.csv", "result.json"):
        (bare / name).write_bytes((baseline / name).read_bytes())
    lost = bench("gate", part, "--fast", "--baseline", bare)
    assert (lost.code, "no embedding store" in lost.err) == (3, True)


def test_processes_that_share_a_gate_say_its_verdict_once(
    bench: Bench, data: Path, stripes_checkpoint: Path, baseline: Path, tmp_path: Path
) -> None:
    words = ["gate", stripes_checkpoint, "--fast", "--data", data, "--distractors", "90", "--baseline", baseline]
    done = bench(*words, "--max-drop", "10pp", "--device", "cpu", "--json", cwd=tmp_path, processes=2)
    assert done.code == 0, done.err
    assert done.json["outcome"] == "passed"
