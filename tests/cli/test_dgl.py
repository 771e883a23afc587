"""The DGL card at its real width: 28,310 logits, stored in 2,049 dimensions and in full, rank alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.progress import Silent
from tests.conftest import Outcome
from tests.models.checkpoints import dgl

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def people_among_distractors(openpeople: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten real people in the SYSU-30k layout, among drawn distractors."""
    root = tmp_path_factory.mktemp("people")
    write_twin(root / "twin", TwinRequest(identities=1, distractors=12), Silent())
    images = root / "sysu_test_set_all"
    shutil.copytree(root / "twin/sysu_test_set_all/gallery/0000others", images / "gallery/0000others")
    for number, probe in enumerate(sorted((openpeople / "query").glob("*.jpg"))):
        name = f"{28_311 + number:09d}"
        match = openpeople / "bounding_box_test" / f"{probe.name[:4]}_c1s1_front.jpg"
        for source, target in ((probe, f"query/{name}/{name}_c2_2.jpg"), (match, f"gallery/{name}/{name}_c1_1.jpg")):
            (images / target).parent.mkdir(parents=True)
            shutil.copy(source, images / target)
    return images


@pytest.mark.slow
def test_short_and_full_logits_rank_alike(
    bench: Bench, people_among_distractors: Path, resnet50_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(dgl(resnet50_state, classes=28_310), tmp_path / "net_6.pth")
    tables = {}
    for name, options in {"short": (), "full": ("--full-logits",), "pool5": ("--feature", "pool5")}.items():
        outcome = bench(
            "eval",
            tmp_path / "net_6.pth",
            "--data",
            people_among_distractors,
            "--output",
            tmp_path / name,
            "--json",
            *options,
        )
        assert outcome.code == 0, outcome.err
        assert outcome.json["model"]["adapter"] == "dgl"
        assert outcome.json["model"]["dimension"] == {"short": 2049, "full": 28_310, "pool5": 2048}[name]
        tables[name] = pd.read_csv(tmp_path / name / "ranking.csv"), pd.read_csv(tmp_path / name / "top.csv")
    (short, short_top), (full, full_top), (pool5, _) = tables["short"], tables["full"], tables["pool5"]
    assert len(short) == 10
    assert short[["query", "match", "rank_low", "rank_high"]].equals(full[["query", "match", "rank_low", "rank_high"]])
    assert short_top[["query", "place", "gallery"]].equals(full_top[["query", "place", "gallery"]])
    assert (short["score"] - full["score"]).abs().max() < 1e-7
    assert (short["score"] - pool5["score"]).abs().max() > 1e-6
