"""Embeddings made elsewhere go through the same search, protocol and record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.evaluation import EvalRequest, evaluate
from sysu30k_bench.evaluation.request import ExportRequest
from tests.conftest import Outcome, unit_rows

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def made(
    twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str], np.ndarray]:
    """A run folder, and its embeddings as somebody else might hand them over: shuffled, not normalised."""
    run = tmp_path_factory.mktemp("run")
    evaluate(EvalRequest(ExportRequest(stripes_checkpoint, twin, output=run)))
    stores = [Store.open(run / "embeddings" / role) for role in ("query", "gallery")]
    keys = [key for store in stores for key in store.labels().key]
    rows = np.concatenate([store.embeddings() for store in stores])
    order = np.random.default_rng(0).permutation(len(keys))
    return run, [keys[index] for index in order], rows[order].astype(np.float64) * 3


def test_same_ranking_as_the_run_that_made_them(
    bench: Bench, made: tuple[Path, list[str], np.ndarray], twin: Path, tmp_path: Path
) -> None:
    run, keys, rows = made
    np.savez(tmp_path / "f.npz", embedding=rows, key=np.array([*keys, "train/x.jpg"][:-1]))
    outcome = bench(
        "eval", tmp_path / "f.npz", "--data", twin, "--adapter", "dari", "--output", tmp_path / "run", "--json"
    )
    assert outcome.code == 0, outcome.err
    ours = json.loads((run / "result.json").read_text())
    assert outcome.json["metrics"] == ours["metrics"]
    assert outcome.json["model"]["adapter"] == "dari"
    assert any("made elsewhere" in warning for warning in outcome.json["warnings"])
    again = bench(
        "eval", tmp_path / "f.npz", "--data", twin, "--adapter", "dari", "--output", tmp_path / "run", "--json"
    )
    assert again.json["metrics"] == ours["metrics"]


def test_missing_images_are_named(
    bench: Bench, made: tuple[Path, list[str], np.ndarray], twin: Path, tmp_path: Path
) -> None:
    _, keys, rows = made
    np.savez(tmp_path / "f.npz", embedding=rows[2:], key=np.array(keys[2:]))
    options = ("eval", tmp_path / "f.npz", "--data", twin, "--output", tmp_path / "run")
    outcome = bench(*options)
    assert outcome.code == 4
    assert all(key in outcome.err for key in keys[:2])
    skipped = bench(*options, "--skip-damaged", "--json")
    assert skipped.code == 0, skipped.err
    assert skipped.json["counts"]["skipped_query"] + skipped.json["counts"]["skipped_gallery"] == 2
    assert skipped.json["official"] is False


def test_bad_rows_and_wrong_use(
    bench: Bench, made: tuple[Path, list[str], np.ndarray], twin: Path, tmp_path: Path
) -> None:
    _, keys, rows = made
    bad = rows.copy()
    bad[5] = np.nan
    np.savez(tmp_path / "f.npz", embedding=bad, key=np.array(keys))
    outcome = bench("eval", tmp_path / "f.npz", "--data", twin, "--output", tmp_path / "run")
    assert outcome.code == 4
    assert keys[5] in outcome.err
    for options, said in (
        ((), "--data is missing"),
        (("--data", twin, "--model", "torchvision:resnet18"), "no network"),
        (("--data", twin, "--control", "random"), "no network"),
    ):
        outcome = bench("eval", tmp_path / "f.npz", "--output", tmp_path / "other", *options)
        assert outcome.code in {2, 4}
        assert said in outcome.err or keys[5] in outcome.err


def test_methods_without_public_code_say_so(bench: Bench, stripes_checkpoint: Path, twin: Path) -> None:
    outcome = bench("eval", stripes_checkpoint, "--data", twin, "--adapter", "local_cnn")
    assert outcome.code == 2
    assert "neither code nor weights" in outcome.err


def test_mat_is_scored_by_its_own_labels(bench: Bench, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(rng, 30, 8)
    persons, cameras = rng.integers(1, 6, 30), rng.integers(1, 4, 30)
    parts = {"query": slice(0, 8), "gallery": slice(8, 30)}
    content = {}
    for role, part in parts.items():
        content |= {f"{role}_f": rows[part], f"{role}_label": persons[part], f"{role}_cam": cameras[part]}
    savemat(tmp_path / "result.mat", content)
    outcome = bench("eval", tmp_path / "result.mat", "--output", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["data"]["dataset"] == "own-labels"
    assert outcome.json["official"] is False
    scores = rows[:8].astype(float) @ rows[8:].astype(float).T
    hits = 0
    for query in range(8):
        kept = ~((persons[8:] == persons[query]) & (cameras[8:] == cameras[query]))
        best = np.flatnonzero(kept)[scores[query][kept].argmax()]
        hits += persons[8:][best] == persons[query]
    assert outcome.json["metrics"]["rank1"]["value"] == pytest.approx(hits / 8)
    refused = bench("eval", tmp_path / "result.mat", "--data", tmp_path)
    assert refused.code == 2
    assert "omit --data" in refused.err
