"""`evaluate` with a checkpoint is the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import resnet18

import sysu30k_bench as sb
from tests.conftest import Outcome
from tests.data.test_benchmarks import viper
from tests.data.trees.archives import zip_of

Bench = Callable[..., Outcome]
OF_THE_MOMENT = ("created", "cost", "sha256")


def files(folder: Path) -> dict[str, bytes]:
    paths = [*folder.rglob("*.h5"), *folder.rglob("*.csv"), *folder.rglob("manifest.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_same_run_folder_with_the_same_bytes(bench: Bench, own_twin: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "r18.pth"
    torch.save(resnet18(weights=None).state_dict(), checkpoint)
    words = [
        "--model",
        "torchvision:resnet18",
        "--flip",
        "none",
        "--height",
        "64",
        "--batch-size",
        "5",
        "--top-k",
        "3",
        "--shard-rows",
        "4",
        "--control",
        "random",
    ]
    outcome = bench("eval", checkpoint, "--data", own_twin, "--output", tmp_path / "a", *words, "--json")
    assert outcome.code == 0, outcome.err
    result = sb.evaluate(
        str(checkpoint),
        data=str(own_twin),
        model="torchvision:resnet18",
        output=tmp_path / "b",
        flip="none",
        height=64,
        batch_size=5,
        top_k=3,
        shard_rows=4,
        control="random",
    )
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "b")) >= 12
    assert result.record is not None
    ours, theirs = json.loads(result.record.model_dump_json()), outcome.json
    assert {name: ours[name] for name in ours if name not in OF_THE_MOMENT} == {
        name: theirs[name] for name in theirs if name not in OF_THE_MOMENT
    }
    assert result.folder == tmp_path / "b"
    assert result.ranking.equals(sb.load_run(tmp_path / "a").ranking)
    assert result.metrics == sb.load_run(tmp_path / "b").metrics


def test_all_splits_have_a_mean_and_a_result_each(stripes_checkpoint: Path, tmp_path: Path) -> None:
    archive = zip_of(viper(tmp_path / "VIPeR"), tmp_path / "VIPeR.zip", "VIPeR/")
    found = sb.evaluate(stripes_checkpoint, data=archive, split="all", output=tmp_path / "run")
    assert len(found.results) == 10
    values = [result.rank1.value for result in found.results]
    assert found.metrics["rank1"] == pytest.approx(sum(values) / 10)
    assert json.loads((tmp_path / "run/splits.json").read_text())["metrics"]["rank1"]["values"] == values
    one = sb.evaluate(stripes_checkpoint, data=archive, split=7, output=tmp_path / "one")
    assert one.rank1.value == values[6]
    assert "mean of 10 splits" in repr(found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batchsize": 3}, "no option 'batchsize'"),
        ({"engine": "quick"}, "engine is 'quick'"),
        ({"memory": "lots"}, "memory is 'lots'"),
        ({"memory": 5}, "memory is 5: at least 10 MB"),
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"flip": "twice"}, "flip is 'twice'"),
        ({"mean": (1, 2)}, "mean is"),
        ({"network_options": ["a"]}, "network_options is"),
        ({"transform": "resnet50"}, "transform is for a network in memory"),
        ({"name": 3}, "name is a int"),
    ],
)
def test_wrong_options_are_named(stripes_checkpoint: Path, own_twin: Path, options: Any, said: str) -> None:
    with pytest.raises(sb.UsageError, match=said):
        sb.evaluate(stripes_checkpoint, data=own_twin, **options)


def test_lists_that_are_open_are_taken_and_left_as_they_are(
    stripes_checkpoint: Path, own_twin: Path, tmp_path: Path
) -> None:
    data = sb.open_data(own_twin, limit=4)
    before = list(data.not_official)
    for name in "ab":
        result = sb.evaluate(stripes_checkpoint, data, output=tmp_path / name)
        assert result.rank1.n == 4
    assert data.not_official == before
    assert any("--limit 4" in reason for reason in before)
