"""Runs of seconds: blind to true labels, the same when resumed, the same on two processes, read by `eval`."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.fabric import TrainRequest, make_fabric
from sysu30k_bench.training.networks import build_network, load_imagenet
from sysu30k_bench.training.plans import IdentityBags
from sysu30k_bench.training.recipe import Recipe, load_recipe
from sysu30k_bench.training.run import run_recipe
from sysu30k_bench.training.state import export_net
from sysu30k_bench.training.table import TrainingTable, open_table
from sysu30k_bench.training.trainer import Trainer
from tests.conftest import Zygote

SHORT = {"run.epochs": "3", "run.validation_identities": "0", "bags.identities_per_batch": "4",
         "optimizer.milestones": "[3]"}  # fmt: skip


@pytest.fixture(scope="session")
def trained_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training") / "twin"
    write_twin(root, TwinRequest(identities=6, distractors=6, training=14, training_images=6), Silent())
    return root


def recipe(**changes: str) -> Recipe:
    return load_recipe("tiny", SHORT | {key.replace("__", "."): value for key, value in changes.items()})


def go(root: Path, folder: Path, wanted: Recipe, **request: Any) -> dict[str, Any]:
    told = run_recipe(wanted, root, None, TrainRequest(folder, "cpu", **request), Silent())
    assert told is not None
    return told


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "last.pt", weights_only=True)["state_dict"]
    return state


def same(left: Path, right: Path) -> bool:
    ours, theirs = weights(left), weights(right)
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_run_leaves_checkpoints_and_logs(trained_twin: Path, tmp_path: Path) -> None:
    told = go(trained_twin, tmp_path / "r", recipe(run__save_every="2"), workers=2)
    assert told["finished"]
    table = pd.read_csv(tmp_path / "r" / "epochs.csv")
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["lr"].tolist() == pytest.approx([2e-3, 2e-3, 2e-4])
    assert table["loss"].notna().all()
    left = {path.name for path in (tmp_path / "r").iterdir()}
    assert left >= {"last.pt", "epoch-0002.pt", "curve.png", "tensorboard"}
    assert list((tmp_path / "r" / "tensorboard").iterdir())


def test_training_learns_on_the_data_it_sees(trained_twin: Path, tmp_path: Path) -> None:
    go(trained_twin, tmp_path / "r", recipe(run__epochs="12", optimizer__milestones="[]", bags__identities_per_bag="1"))
    table = pd.read_csv(tmp_path / "r" / "epochs.csv")
    assert table["loss"].iloc[-3:].mean() < 0.8 * table["loss"].iloc[0]
    assert table["pseudo_label_accuracy"].tolist() == [1.0] * 12


@pytest.mark.parametrize("accumulate", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_resuming_in_mid_epoch_gives_the_same_bits(trained_twin: Path, tmp_path: Path, accumulate: str) -> None:
    wanted = recipe(run__accumulate=accumulate, run__seed="5")
    go(trained_twin, tmp_path / "whole", wanted)
    assert not go(trained_twin, tmp_path / "parts", wanted, stop_after=2)["finished"]
    go(trained_twin, tmp_path / "parts", wanted, stop_after=3, go_on=True)
    go(trained_twin, tmp_path / "parts", wanted, go_on=True, workers=1)
    assert same(tmp_path / "whole", tmp_path / "parts")
    tables = [pd.read_csv(tmp_path / name / "epochs.csv") for name in ("whole", "parts")]
    pd.testing.assert_frame_equal(*(table.drop(columns="images_per_second") for table in tables))
    other = recipe(run__accumulate=accumulate, run__seed="6")
    go(trained_twin, tmp_path / "other", other)
    assert not same(tmp_path / "whole", tmp_path / "other")


def test_true_labels_never_reach_the_loss(trained_twin: Path, tmp_path: Path) -> None:
    wanted = recipe()
    table = open_table(trained_twin, wanted, None, Silent())
    assert table.truth is not None
    assert isinstance(table.plan, IdentityBags)
    rng = np.random.default_rng(0)
    scrambled = table.truth.copy()
    for group in table.plan.groups(0):
        rows = np.flatnonzero(np.isin(table.truth, group))
        scrambled[rows] = rng.permutation(table.truth[rows])
    plan = IdentityBags(scrambled, 4, 2, 4, redraw=False, seed=0)
    blind = dataclasses.replace(table, truth=scrambled, plan=plan)
    for name, one in (("true", table), ("scrambled", blind)):
        request = TrainRequest(tmp_path / name, "cpu")
        Trainer(wanted, one, request, make_fabric(request, wanted.run.precision), Silent()).fit()
    assert same(tmp_path / "true", tmp_path / "scrambled")


def test_a_checkpoint_goes_into_eval_with_no_option(bench: Any, trained_twin: Path, tmp_path: Path) -> None:
    outcome = bench("train", "tiny", "--data", trained_twin, "--output", tmp_path / "r", "--json", "--export-net",
                    "--set", "run.epochs=2", "--set", "run.validation_identities=4", "--set", "run.validate_every=1",
                    "--set", "bags.identities_per_batch=4", "--set", "optimizer.milestones=[]")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert 0 <= outcome.json["last_epoch"]["validation_rank1"] <= 1
    assert [Path(name).name for name in outcome.json["files"]] == [
        "last.pt", "best.pt", "epochs.csv", "curve.png", "tensorboard", "net_1.pth"]  # fmt: skip
    first = json.loads((tmp_path / "r" / "validation" / "epoch-0001" / "result.json").read_text())
    assert "held out" in first["not_official_because"][0]
    assert first["counts"]["query"] == 8
    for name in ("last.pt", "best.pt", "net_1.pth"):
        evaluated = bench("eval", tmp_path / "r" / name, "--data", trained_twin, "--output", tmp_path / name, "--json")
        assert evaluated.code == 0, evaluated.err
        assert evaluated.json["model"]["adapter"] == "tiny"
    refused = bench("train", "tiny", "--data", trained_twin, "--output", tmp_path / "r")
    assert refused.code == 2
    assert "--resume" in refused.err


@pytest.mark.parametrize(("name", "adapter", "width"), [("resnet50", "dgl", 7), ("mgn", "mgn", 2048)])
@pytest.mark.parametrize("authors", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_networks_of_the_recipes_are_recognised(
    bench: Any, openpeople: Path, tmp_path: Path, name: str, adapter: str, width: int, authors: bool
) -> None:
    network = build_network(name, 7)
    path = tmp_path / "net_0.pth"
    if authors:
        export_net(path, network)
    else:
        torch.save({"state_dict": network.state_dict(), "optimizer": {}, "training": "{}"}, path)
    small = ["--height", "192", "--width", "64", "--limit", "2"]
    outcome = bench("eval", path, "--data", openpeople, "--output", tmp_path / "run", *small, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["model"]["adapter"] == adapter
    assert outcome.json["model"]["tensors_missing"] == []
    assert outcome.json["model"]["dimension"] == width


def test_bags_as_published_train(trained_twin: Path, tmp_path: Path) -> None:
    wanted = recipe(bags__kind="published", bags__bags_per_batch="4", bags__images_per_bag="5")
    told = go(trained_twin, tmp_path / "r", wanted)
    assert told["finished"]
    assert "pseudo_label_accuracy" not in told["last_epoch"]
    for kind in ("balanced", "bag"):
        go(trained_twin, tmp_path / kind, recipe(bags__kind="windows", bags__bags_per_batch="6",
           bags__images_per_bag="5", loss__assignment=kind, loss__form="paper"))  # fmt: skip
    with pytest.raises(UsageError, match="no image of this training set has a label"):
        go(trained_twin, tmp_path / "v", recipe(bags__kind="published", run__validation_identities="3"))


def test_two_processes_have_the_losses_of_one(bench: Any, trained_twin: Path, tmp_path: Path) -> None:
    settings = {**SHORT, "network.norm": "group", "optimizer.name": "sgd", "optimizer.lr": "0.01", "input.padding": "0"}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    arguments = ["train", "tiny", "--data", str(trained_twin), "--accelerator", "cpu", *sets]
    for name, processes in (("one", 1), ("two", 2)):
        done = bench(*arguments, "--output", tmp_path / name, processes=processes)
        assert done.code == 0, done.err
    one, two = (pd.read_csv(tmp_path / name / "epochs.csv") for name in ("one", "two"))
    for column in ("loss", "unary", "pairwise", "triplet"):
        np.testing.assert_allclose(one[column], two[column], rtol=2e-4, atol=1e-6)
    ours, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-3, atol=2e-5)


def test_killed_and_resumed_is_as_never_killed(bench: Any, zygote: Zygote, trained_twin: Path, tmp_path: Path) -> None:
    sets = [word for key, value in (SHORT | {"run.epochs": "12"}).items() for word in ("--set", f"{key}={value}")]
    words = ["train", "tiny", "--data", trained_twin, *sets, "--accelerator", "cpu", "--output"]
    killed = zygote.begin(*words, tmp_path / "killed")
    for _ in range(6000):
        if (tmp_path / "killed" / "epochs.csv").exists():
            break
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait()[0] == -signal.SIGKILL
    again = zygote.begin(*words, tmp_path / "killed", "--resume")
    while again.runs and not (again.stderr.exists() and again.stderr.read_text()):
        time.sleep(0.01)  # until it has begun to train
    os.kill(again.pid, signal.SIGINT)
    code, said = again.wait()
    assert code in {0, 130}
    assert code == 0 or "the same command with --resume resumes" in said
    for name, more in (("killed", ["--resume"]), ("whole", [])):
        assert bench(*words, tmp_path / name, *more).code == 0
    assert same(tmp_path / "killed", tmp_path / "whole")


def test_going_on_with_something_else_is_refused(trained_twin: Path, tmp_path: Path) -> None:
    go(trained_twin, tmp_path / "r", recipe(), stop_after=1)
    with pytest.raises(UsageError, match="another recipe") as caught:
        go(trained_twin, tmp_path / "r", recipe(loss__margin="0.3"), go_on=True)
    assert caught.value.details == ["loss.margin was 1.2 and is 0.3"]
    with pytest.raises(UsageError, match="holds a run"):
        go(trained_twin, tmp_path / "r", recipe())
    with pytest.raises(DataError, match="to resume from"):
        go(trained_twin, tmp_path / "n", recipe(), go_on=True)
    go(trained_twin, tmp_path / "r", recipe(run__epochs="4"), go_on=True)
    other = tmp_path / "twin"
    write_twin(other, TwinRequest(identities=2, distractors=2, training=14, training_images=5), Silent())
    with pytest.raises(UsageError, match="other images"):
        go(other, tmp_path / "r", recipe(run__epochs="5"), go_on=True)
    (tmp_path / "r" / "last.pt").write_bytes(b"x" * 100)
    with pytest.raises(IntegrityError, match="not a checkpoint"):
        go(trained_twin, tmp_path / "r", recipe(), go_on=True)


@pytest.mark.parametrize(
    "content", [b"", {"training": "[]"}, {"training": '{"recipe": {"name": "x", "title": "y", "new": 1}}'}]
)
def test_a_checkpoint_that_cannot_be_gone_on_from_is_named(trained_twin: Path, tmp_path: Path, content: Any) -> None:
    (tmp_path / "r").mkdir()
    if isinstance(content, bytes):
        (tmp_path / "r" / "last.pt").write_bytes(content)
    else:
        torch.save({"state_dict": {}, "optimizer": {}, **content}, tmp_path / "r" / "last.pt")
    with pytest.raises(IntegrityError, match="not a checkpoint"):
        go(trained_twin, tmp_path / "r", recipe(), go_on=True)


def test_people_with_one_image_a_camera_leave_a_gallery(tmp_path: Path) -> None:
    from tests.data.test_benchmarks import viper

    table = open_table(viper(tmp_path / "VIPeR", 40), recipe(run__validation_identities="4"), None, Silent())
    assert table.validation is not None
    assert len(table.validation.query) == len(table.validation.gallery) == 4
    assert set(table.validation.query.camera_ids) == {1}


def test_stopping_in_the_midst_of_a_step_goes_to_its_end(trained_twin: Path, tmp_path: Path) -> None:
    go(trained_twin, tmp_path / "r", recipe(run__accumulate="3"), stop_after=1)
    content = torch.load(tmp_path / "r" / "last.pt", weights_only=True)
    assert json.loads(content["training"])["position"] == [1, 0]


def test_a_loss_that_is_not_finite_stops_and_says_so(trained_twin: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="the loss is"):
        go(trained_twin, tmp_path / "r", recipe(optimizer__lr="1e30", optimizer__name="sgd", run__epochs="5"))


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    write_twin(tmp_path / "t", TwinRequest(identities=2, distractors=2, training=8, training_images=4), Silent())
    bad = tmp_path / "t/sysu_train_set_all/0000000003/0000000003_c1_1.jpg"
    bad.write_bytes(b"no image")
    with pytest.raises(IntegrityError, match=r"0000000003_c1_1\.jpg"):
        go(tmp_path / "t", tmp_path / "r", recipe(run__epochs="9"))


def held_back(table: TrainingTable) -> tuple[set[int], set[int]]:
    assert table.validation is not None
    return set(table.validation.query.person_ids), set(table.validation.gallery.person_ids)


def test_people_held_back_are_not_trained_on(trained_twin: Path) -> None:
    table = open_table(trained_twin, recipe(run__validation_identities="5"), None, Silent())
    query, gallery = held_back(table)
    assert query == gallery
    assert len(query) == 5
    assert table.classes == 9
    keys = table.keys(range(len(table.truth)))  # type: ignore[arg-type]
    assert not {int(key[:10]) for key in keys} & query
    assert not set(keys) & set(table.validation.gallery.keys)  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="cannot be held out"):
        open_table(trained_twin, recipe(run__validation_identities="8"), None, Silent())


def test_imagenet_weights_fill_every_branch() -> None:
    from torchvision.models import resnet50

    torch.manual_seed(3)
    donor = resnet50(weights=None).state_dict()
    mgn, plain = build_network("mgn", 4), build_network("resnet50", 4)
    for network in (mgn, plain):
        load_imagenet(network, {name: value for name, value in donor.items() if not name.startswith("fc.")})
    state = mgn.state_dict()
    for branch in ("p1", "p2", "p3"):
        assert torch.equal(state[f"{branch}.1.0.conv1.weight"], donor["layer4.0.conv1.weight"])
        assert torch.equal(state[f"{branch}.0.0.conv1.weight"], donor["layer3.1.conv1.weight"])
    assert torch.equal(state["backbone.6.conv1.weight"], donor["layer3.0.conv1.weight"])
    assert torch.equal(plain.state_dict()["model.layer2.0.conv2.weight"], donor["layer2.0.conv2.weight"])
    with pytest.raises(UsageError, match="not a torchvision ResNet-50"):
        load_imagenet(plain, {"conv1.weight": donor["conv1.weight"]})
    with pytest.raises(UsageError, match="tiny"):
        load_imagenet(build_network("tiny", 3), donor)
    with pytest.raises(UsageError, match="no network 'vgg'"):
        build_network("vgg", 3)
