"""What a user is told about a file or data set that is not quite what was expected: no more and no less than is so."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

import sysu30k_bench as sb
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.errors import UsageError
from sysu30k_bench.progress import Silent
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


class Homemade(nn.Module):
    """A trunk, a neck and a classifier, as many students name them."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = resnet18(weights=None)
        self.backbone.fc = nn.Identity()
        self.bnneck = nn.BatchNorm1d(512)
        self.classifier = nn.Linear(512, 7, bias=False)


@pytest.fixture
def homemade(tmp_path: Path) -> Path:
    path = tmp_path / "home.pth"
    torch.save(Homemade().state_dict(), path)
    return path


def test_a_homemade_network_is_named_by_its_trunk_and_not_by_a_method(
    bench: Bench, own_twin: Path, homemade: Path
) -> None:
    said = bench("eval", homemade, "--data", own_twin)
    assert said.code == 2
    hint = said.err.partition("What to do:")[2]
    assert "--adapter resnet50 --allow-partial" in hint
    assert "bnneck" in hint
    assert "python:package.module:callable" in hint
    assert "byol" not in hint
    assert "NAME" not in hint


def test_a_file_that_holds_more_leaves_no_part_random(
    bench: Bench, own_twin: Path, homemade: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = bench(
        "eval", homemade, "--data", own_twin, "--model", "torchvision:resnet18", "--allow-partial", "--output", run
    )
    assert done.code == 0, done.err
    record = json.loads((run / "result.json").read_text())
    said = [one for one in record["not_official_because"] if "--allow-partial" in one]
    assert len(said) == 1
    assert "4 tensors of the file are left out" in said[0]
    assert "random" not in said[0]


def test_weights_that_a_file_does_not_hold_are_named(bench: Bench, own_twin: Path, stripes_checkpoint: Path) -> None:
    said = bench("eval", stripes_checkpoint, "--data", own_twin, "--weights", "teacher")
    assert said.code == 2
    assert "has no weights 'teacher': it holds one set of weights" in said.err
    assert "omit --weights" in said.err


@pytest.mark.parametrize("command", ["verify", "stats", "show"])
def test_a_training_set_does_not_hide_that_the_named_test_set_is_missing(
    bench: Bench, tmp_path: Path, command: str
) -> None:
    write_twin(tmp_path / "twin", TwinRequest(4, 4, training=2, training_images=2), Silent())
    said = bench("data", command, tmp_path / "twin", "--dataset", "market1501")
    assert said.code == 3
    assert "market1501" in said.err
    shutil.rmtree(tmp_path / "twin" / "sysu_test_set_all")
    alone = bench("data", "verify", tmp_path / "twin")
    assert "no test set: " in alone.out


def test_an_archive_of_the_images_alone_is_still_drawn(bench: Bench, own_twin: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "twin.tar", "w") as tar:
        tar.add(own_twin / "sysu_test_set_all", "sysu_test_set_all")
    assert bench("data", "lists", tmp_path / "twin.tar").out.count("drawn by") == 1


def test_a_checkpoint_called_tar_is_no_archive_and_a_compressed_one_is_said_to_be(
    bench: Bench, own_twin: Path, stripes_checkpoint: Path
) -> None:
    shutil.copy(stripes_checkpoint, own_twin / "model.pth.tar")
    assert bench("data", "verify", own_twin).code == 0
    packed = own_twin / "twin.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(stripes_checkpoint, "a")
    said = bench("data", "verify", packed)
    assert said.code == 4
    assert "is compressed" in said.out
    assert "invalid header" not in said.out


def test_a_variable_is_named_where_its_value_is_wrong(bench: Bench, own_twin: Path, stripes_checkpoint: Path) -> None:
    words = ("eval", stripes_checkpoint, "--data", own_twin)
    said = bench(*words, env={"SYSU30K_BENCH_EVAL_LIMIT": "abc"})
    assert said.code == 2
    assert "SYSU30K_BENCH_EVAL_LIMIT" in said.err
    assert "variable" not in bench(*words, "--limit", "abc").err


def test_a_practice_row_is_refused_for_its_own_reasons(
    bench: Bench, own_twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert bench("eval", stripes_checkpoint, "--data", own_twin, "--limit", 3, "--output", run).code == 0
    claim = [
        "--id",
        "a",
        "--method",
        "b",
        "--supervision",
        "none",
        "--source",
        "c",
        "--claimed-by",
        "d",
        "--weights",
        "e",
    ]
    said = bench("submit", run, "--practice", "--board", tmp_path / "board", *claim)
    assert said.code == 1
    assert "--limit 3" in said.err
    assert "publishes" not in said.err
    assert "published lists" not in said.err


def test_a_map_that_is_averaged_is_noted(own_twin: Path) -> None:
    pooled = sb.evaluate(lambda x: x.mean((2, 3)), data=own_twin, height=32, width=16)
    mapped = sb.evaluate(lambda x: x, data=own_twin, height=32, width=16)
    assert not [one for one in pooled.record.warnings if "spatial mean" in one]
    assert [one for one in mapped.record.warnings if "spatial mean" in one]
    with pytest.raises(UsageError, match="neither a network") as refused:
        sb.evaluate({"a": torch.zeros(1)}, data=own_twin)  # type: ignore[call-overload]
    assert "load a state dict" in str(refused.value.hint)


def test_a_training_list_with_a_name_of_nobody_is_refused(bench: Bench, tmp_path: Path) -> None:
    root = tmp_path / "twin"
    write_twin(root, TwinRequest(4, 4, training=4, training_images=2), Silent())
    listed = root / "meta" / "train.txt"
    listed.write_text(listed.read_text().replace("0000000003_c1_1.jpg", "000000000\x14_c1_1.jpg"))
    said = bench("train", "tiny", "--data", root, "--output", tmp_path / "net")
    assert said.code == 3
    assert "1 name is not of drawn people" in said.err
    assert "\\x14_c1_1.jpg" in said.err
