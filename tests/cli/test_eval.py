"""The main job, as a user runs it: one process a test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import Outcome

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def finished(
    bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    output = tmp_path_factory.mktemp("finished") / "run"
    outcome = bench("eval", stripes_checkpoint, "--data", twin, "--output", output, "--json")
    assert outcome.code == 0, outcome.err
    return output, outcome


def test_json_is_pure_and_is_the_file(finished: tuple[Path, Outcome]) -> None:
    output, outcome = finished
    assert outcome.json == json.loads((output / "result.json").read_text())
    assert outcome.json["counts"] == {
        "query": 40, "gallery": 100, "matches": 40, "tied": 0, "unmatched": 0, "skipped_query": 0, "skipped_gallery": 0,
    }  # fmt: skip
    assert outcome.json["metrics"]["rank1"]["value"] > 0.5
    assert "recognised by" in outcome.err
    assert f"input {outcome.json['model']['input']}" in " ".join(outcome.err.split())


def test_run_folder(finished: tuple[Path, Outcome]) -> None:
    output, _ = finished
    assert {path.name for path in output.iterdir()} >= {"embeddings", "ranking.csv", "top.csv", "result.json"}
    assert (output / "embeddings/gallery/manifest.json").is_file()
    assert len(pd.read_csv(output / "ranking.csv")) == 40
    assert len(pd.read_csv(output / "top.csv")) == 40 * 20


def test_panel_tells_result_reasons_and_files(
    bench: Bench, finished: tuple[Path, Outcome], twin: Path, stripes_checkpoint: Path
) -> None:
    output, first = finished
    again = bench(
        "eval", stripes_checkpoint, "--data", twin, "--output", output, env={"NO_COLOR": "1", "COLUMNS": "100"}
    )
    assert again.code == 0
    assert "\x1b[" not in again.out
    value = first.json["metrics"]["rank1"]["value"]
    for said in (
        "practice run",
        "Practice run on drawn people: shows the tool, measures nothing",
        "rank-1",
        f"{value * 100:.2f}",
        "AP (trapezoid)",
        "AP (standard)",
        str(output / "result.json"),
    ):
        assert said in again.out
    assert "mAP" not in again.out
    assert "not official" not in again.out
    assert max(len(line) for line in again.out.splitlines() if "│" in line) <= 100


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    return {
        name: result[name]
        for name in (
            "metrics",
            "ties",
            "counts",
            "model",
            "protocol",
            "data",
            "official",
            "not_official_because",
            "warnings",
        )
    }


def test_steps_do_the_same_job(
    bench: Bench, finished: tuple[Path, Outcome], twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    output, whole = finished
    run = tmp_path / "steps"
    assert bench("export", stripes_checkpoint, "--data", twin, "--output", run).code == 0
    assert bench("search", run, "--engine", "torch").code == 0
    scored = bench("score", run, "--json")
    assert scored.code == 0
    assert numbers(scored.json) == numbers(whole.json)
    for name in ("ranking.csv", "top.csv", "embeddings/gallery/shard-00000.h5"):
        assert (run / name).read_bytes() == (output / name).read_bytes()


def test_score_needs_the_ranking_alone(bench: Bench, finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    output, whole = finished
    shutil.copy(output / "ranking.csv", tmp_path / "ranking.csv")
    scored = bench("score", tmp_path / "ranking.csv", "--json")
    assert scored.json["metrics"] == whole.json["metrics"]
    assert scored.json["ties"] == whole.json["ties"]
    assert "rank-1" in bench("score", tmp_path).out


def test_a_ranking_that_was_touched_is_refused(bench: Bench, finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    text = (run / "ranking.csv").read_text().splitlines()
    columns = text[1].split(",")
    columns[2] = columns[3] = "1" if columns[2] != "1" else "2"
    (run / "ranking.csv").write_text("\n".join([text[0], ",".join(columns), *text[2:]]) + "\n")
    outcome = bench("score", run)
    assert outcome.code == 4
    assert "not the ranking that the search wrote" in outcome.err


def test_engines_memory_and_batch_change_no_number(
    bench: Bench, finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    before = (run / "ranking.csv").read_bytes()
    ways = [("--engine", "torch"), ("--engine", "faiss", "--memory", "10MB"), ("--top-k", "3"), ("--filter", "bf16")]
    for options in (*ways, ("--engine", "torch", "--filter", "int8")):
        assert bench("search", run, *options).code == 0
        assert (run / "ranking.csv").read_bytes() == before


def test_the_gallery_searched_for_itself(bench: Bench, finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    import h5py

    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    done = bench("search", run, "--self", "--top-k", 4, "--json")
    assert done.code == 0, done.err
    assert "neighbours: less than a minute remains" in done.err  # of so few, on any machine
    with h5py.File(done.json["neighbours"]) as file:
        position, score = file["position"][:], file["score"][:]
    assert position.shape == score.shape == (100, 4)
    assert not (position == np.arange(100)[:, None]).any()
    assert (np.diff(score, axis=1) <= 0).all()
    assert bench("search", run, "--filter", "int8", "--engine", "faiss").code == 2
    more = bench("search", run, "--self", "--top-k", 101, "--json")
    assert "each image has 99 others, not 101: the places behind them hold -1" in more.err
    with h5py.File(more.json["neighbours"]) as file:
        assert (file["position"][:, 99:] == -1).all()


def test_default_output_is_found_again(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    first = bench("eval", stripes_checkpoint, "--data", twin, "--limit", 5, "--json", cwd=tmp_path)
    again = bench("eval", stripes_checkpoint, "--data", twin, "--limit", 5, "--json", cwd=tmp_path)
    assert [path.name[:8] for path in (tmp_path / "runs").iterdir()] == ["stripes-"]
    assert first.json["cost"]["images_embedded"] == 10
    assert again.json["cost"]["images_embedded"] == 10  # of the run that embedded them
    assert any("--limit 5" in reason for reason in first.json["not_official_because"])


def test_options_come_from_the_environment(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    env = {"SYSU30K_BENCH_EVAL_DATA": str(twin), "SYSU30K_BENCH_EVAL_LIMIT": "3", "SYSU30K_BENCH_EVAL_ENGINE": "torch"}
    outcome = bench("eval", stripes_checkpoint, "--json", "--output", tmp_path / "run", env=env)
    assert outcome.json["counts"]["query"] == 3
    assert outcome.json["environment"]["engine"].startswith("torch")


def test_dry_run_writes_nothing(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    outcome = bench("eval", stripes_checkpoint, "--data", twin, "--output", tmp_path / "run", "--dry-run", "--json")
    assert outcome.json["query"] == 40
    assert outcome.json["disk_bytes"] > 140 * 384 * 4
    assert not (tmp_path / "run").exists()
    assert any("flip" in line for line in outcome.json["assumes"])
    said = bench("eval", stripes_checkpoint, "--data", twin, "--dry-run", cwd=tmp_path).out
    assert "images/s" in said
    assert "input 256x128" in said
    assert "flip after_sum" in said


def test_control_shows_both(bench: Bench, twin: Path, tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(1)
    torch.save(resnet18().state_dict(), tmp_path / "r18.pth")
    options = (
        "--data",
        twin,
        "--model",
        "torchvision:resnet18",
        "--height",
        "64",
        "--width",
        "32",
        "--limit",
        6,
        "--control",
        "random",
        "--output",
        tmp_path / "run",
    )
    outcome = bench("eval", tmp_path / "r18.pth", *options, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["control"]["rank1"]["n"] == 6
    assert json.loads((tmp_path / "run/control/result.json").read_text())["official"] is False
    assert "random weights: rank-1" in bench("eval", tmp_path / "r18.pth", *options).out


def test_constant_network_scores_one_over_the_gallery(bench: Bench, twin: Path, tmp_path: Path) -> None:
    from torchvision.models import resnet18

    state = {name: torch.zeros_like(value) for name, value in resnet18().state_dict().items()}
    state |= {
        name: torch.ones_like(value)
        for name, value in state.items()
        if name.endswith(("running_var", "layer4.1.bn2.bias"))
    }
    torch.save(state, tmp_path / "constant.pth")
    outcome = bench(
        "eval",
        tmp_path / "constant.pth",
        "--data",
        twin,
        "--model",
        "torchvision:resnet18",
        "--height",
        "64",
        "--width",
        "32",
        "--output",
        tmp_path / "run",
        "--json",
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json["metrics"]["rank1"]["value"] == pytest.approx(0.01)
    assert outcome.json["ties"]["rank1_pessimistic"] == 0
    assert outcome.json["ties"]["rank1_optimistic"] == 1
    assert outcome.json["counts"]["tied"] == 40
    assert any("tie" in warning for warning in outcome.json["warnings"])


def test_storage_and_compute_are_recorded(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    outcome = bench(
        "eval",
        stripes_checkpoint,
        "--data",
        twin,
        "--storage",
        "float16",
        "--compute",
        "bf16",
        "--limit",
        9,
        "--output",
        tmp_path / "r",
        "--json",
    )
    assert (outcome.json["model"]["storage"], outcome.json["model"]["compute"]) == ("float16", "bf16")


def test_two_processes_make_the_same_bytes(
    bench: Bench, finished: tuple[Path, Outcome], twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    """torchrun itself starts them in tests/test_cluster.py."""
    run = tmp_path / "run"
    words = ["eval", stripes_checkpoint, "--data", twin, "--output", run, "--shard-rows", "16", "--json"]
    done = bench(*words, processes=2)
    assert done.code == 0, done.err
    result = done.json
    assert result["environment"]["processes"] == 2
    assert result["cost"]["images_embedded"] == 140
    assert (run / "ranking.csv").read_bytes() == (finished[0] / "ranking.csv").read_bytes()
