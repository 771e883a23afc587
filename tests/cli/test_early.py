"""What is judged before torch is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sysu30k_bench.cli import judge as early
from sysu30k_bench.cli.judge import judge, judge_checkpoint, judge_data, judge_device, judge_output, judge_run
from sysu30k_bench.cli.network_names import judge_network
from sysu30k_bench.errors import BenchError, DataError, IntegrityError, UsageError

SCRIPT = """
import json, sys
from sysu30k_bench.cli.program import cli
said = []
for words in json.loads(sys.argv[1]):
    try:
        cli(words, standalone_mode=False)
    except Exception as error:
        said.append(str(error))
print(json.dumps([said, sorted({"torch", "pandas", "scipy"} & set(sys.modules))]))
"""


def test_nothing_that_was_mistyped_waits_for_torch(twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    file, net, root = tmp_path / "file", str(stripes_checkpoint), str(twin)
    file.write_text("in the way")
    wrong = {
        ("eval", str(tmp_path / "no.pth"), "--data", root): "there is no file",
        ("eval", net, "--data", str(tmp_path / "no")): "there is no folder or archive",
        ("eval", net, "--data", root, "--adapter", "dlg"): "there is no adapter 'dlg'",
        ("eval", net, "--data", root, "--adapter", "no.toml"): "there is no adapter card",
        ("eval", net, "--data", root, "--model", "torchvision:resnet51"): "no network 'resnet51'",
        ("eval", net, "--data", root, "--device", "gpu"): "--device gpu is not",
        ("eval", net, "--data", root, "--output", str(file)): "is a file, but a run needs a folder",
        ("export", str(tmp_path / "no.pth"), "--data", root): "there is no file",
        ("search", str(tmp_path / "no")): "there is no run folder",
        ("search", str(tmp_path), "--device", "tpu"): "--device tpu is not",
        ("score", str(tmp_path / "no")): "there is no run folder or ranking",
        ("compare", str(tmp_path / "no"), str(tmp_path)): "there is no run folder or ranking",
        ("gate", str(tmp_path), "--baseline", str(tmp_path / "no")): "there is no run folder or ranking",
        ("report", str(tmp_path / "no")): "there is no run folder or ranking",
        ("train", "tny", "--data", root): "there is no recipe",
        ("train", "tiny", "--data", str(tmp_path / "no")): "there is no folder or archive",
        ("train", "tiny", "--data", root, "--output", str(file)): "is a file, but a run needs a folder",
        ("data", "lists", str(tmp_path / "no")): "there is no folder or archive",
        ("adapters", "which", str(tmp_path / "no.pth")): "there is no file",
        ("adapters", "show", "dlg"): "there is no adapter",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([list(words) for words in wrong])],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said, heavy = json.loads(done.stdout.splitlines()[-1])
    assert heavy == []
    assert len(said) == len(wrong)
    for (words, expected), found in zip(wrong.items(), said, strict=True):
        assert expected in found, words
    assert "loading" not in done.stderr


def test_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "net_59.pth").write_bytes(b"x")
    with pytest.raises(DataError, match="there is no file") as caught:
        judge_checkpoint(tmp_path / "net_58.pth")
    assert caught.value.hint == f"did you mean {tmp_path / 'net_59.pth'}?"
    (tmp_path / "empty.pth").touch()
    with pytest.raises(IntegrityError, match="is empty"):
        judge_checkpoint(tmp_path / "empty.pth")
    (tmp_path / "latest.pth").symlink_to("gone.pth")
    with pytest.raises(DataError, match=r"is a link to gone\.pth, which does not exist"):
        judge_checkpoint(tmp_path / "latest.pth")
    judge_checkpoint(tmp_path / "net_59.pth")


def test_images_for_weights_and_weights_for_images(twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    for folder in (twin, twin / "sysu_test_set_all", twin / "sysu_test_set_all/gallery/0000others"):
        with pytest.raises(DataError, match="is a folder of images, not a checkpoint") as caught:
            judge_checkpoint(folder)
        assert "the images go with --data" in str(caught.value)
    judge_checkpoint(tmp_path)  # something else than images is named by whoever reads it
    transformers = tmp_path / "model"
    transformers.mkdir()
    (transformers / "config.json").write_text("{}")
    (transformers / "example.jpg").touch()
    judge_checkpoint(transformers)
    with pytest.raises(UsageError, match="is a file of weights, not a data set"):
        judge_data(stripes_checkpoint)
    (tmp_path / "last.pth.tar").touch()
    with pytest.raises(UsageError, match="is a file of weights"):
        judge_data(tmp_path / "last.pth.tar")
    (tmp_path / "sysu_test_set_all.tar").touch()
    judge_data(tmp_path / "sysu_test_set_all.tar")


def test_a_name_in_another_case_or_one_letter_off_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "SYSU-30k-released").mkdir()
    with pytest.raises(DataError) as caught:
        judge_data(tmp_path / "sysu-30k-release")
    assert caught.value.hint == f"did you mean {tmp_path / 'SYSU-30k-released'}?"


def test_output(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError, match=r"cannot write .*file: it is a file, but a run needs a folder"):
        judge_output(file)
    with pytest.raises(DataError, match=rf"cannot write .*run: {file} is a file") as caught:
        judge_output(file / "deep" / "run")
    assert "--output" in str(caught.value)
    judge_output(tmp_path)
    judge_output(tmp_path / "new" / "run")
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(DataError, match="Permission denied"):
            judge_output(tmp_path / "run")
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["gpu", "0", "CUDA:0", "cuda:", "cuda:x", "mps", "", "cuda:-1"], ids=repr)
def test_what_is_no_device(name: str) -> None:
    with pytest.raises(UsageError, match="is not auto, cpu, cuda or cuda:N"):
        judge_device(name)


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "_may_have_gpu", lambda: False)
    judge_device("auto")
    judge_device("cpu")
    for name, said in (("cuda", "cuda:0"), ("cuda:3", "cuda:3")):
        with pytest.raises(DataError, match=f"there is no device {said}: this machine has no GPU driver"):
            judge_device(name)
    monkeypatch.setattr(early, "_may_have_gpu", lambda: True)
    judge_device("cuda:3")  # torch counts them


def test_runs(tmp_path: Path) -> None:
    judge_run(tmp_path)
    (tmp_path / "ranking.csv").touch()
    judge_run(tmp_path / "ranking.csv")
    with pytest.raises(DataError, match="is a file, not a run folder"):
        judge_run(tmp_path / "ranking.csv", "export", folder=True)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("torchvision:resnet51", "did you mean resnet50"),
        ("timm:vit_smal_patch16_224", "did you mean vit_small_patch16_224"),
        ("torchvison:resnet50", "is not SOURCE:NAME"),
        ("resnet50", "is not SOURCE:NAME"),
        ("python:no_such_package.models:build", "there is no module 'no_such_package'"),
    ],
)
def test_networks_that_are_misspelt(source: str, said: str) -> None:
    with pytest.raises(BenchError) as caught:
        judge_network(source)
    assert said in str(caught.value)


def test_networks_that_are_there_are_let_through() -> None:
    """Tags of weights and names that timm keeps for old times' sake, too."""
    for source in (
        "torchvision:resnet50",
        "torchvision:vit_b_16",
        "timm:resnet50",
        "timm:resnet50.a1_in1k",
        "timm:tf_efficientnet_b0_ns",
        "python:tests.cli.test_adapters:Constant",
    ):
        judge_network(source)


def test_every_name_that_the_libraries_list_is_let_through() -> None:
    import timm
    from torchvision import models

    for name in models.list_models(module=models):
        judge_network(f"torchvision:{name}")
    for name in timm.list_models()[::97]:
        judge_network(f"timm:{name}")


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        judge({"adapter": "dgl", "model": "timm:resnet50"})
