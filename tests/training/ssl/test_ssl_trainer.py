"""Runs of seconds: as lightly's own loops, the same when resumed, on one process or two, and read by `eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.fabric import TrainRequest, make_fabric
from sysu30k_bench.training.ssl.batches import Batch, Plan, ViewBatches
from sysu30k_bench.training.ssl.methods.build import build_method
from sysu30k_bench.training.ssl.recipe import METHODS, SslRecipe, load_ssl_recipe, ssl_recipe_names
from sysu30k_bench.training.ssl.run import run_ssl_recipe
from sysu30k_bench.training.ssl.table import open_images
from sysu30k_bench.training.ssl.trainer import SslTrainer

pytest.importorskip("lightly")
SHORT = {"run.epochs": "3", "run.batch": "16", "head.hidden": "32", "head.output": "16", "loss.memory": "64"}


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ssl") / "twin"
    write_twin(root, TwinRequest(identities=6, distractors=6, training=10, training_images=4), Silent())
    return root


def recipe(method: str = "simclr", **changes: str) -> SslRecipe:
    return load_ssl_recipe(f"{method}_tiny", SHORT | {key.replace("__", "."): value for key, value in changes.items()})


def go(root: Path, folder: Path, wanted: SslRecipe, **request: Any) -> dict[str, Any]:
    told = run_ssl_recipe(wanted, root, None, TrainRequest(folder, "cpu", **request), Silent(), export=True)
    assert told is not None
    return told


def weights(folder: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / name, weights_only=True)["state_dict"]
    return state


def same(left: Path, right: Path) -> bool:
    ours, theirs = weights(left), weights(right)
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


LOCAL = {"views__local": "3", "views__local_height": "32", "views__local_width": "16"}


@pytest.mark.parametrize(
    ("method", "changes"),
    [*((method, {}) for method in METHODS if method != "triplet"), pytest.param("dino", LOCAL, id="dino, local views")],
)
def test_loss_curves_are_those_of_lightlys_own_loop(
    people: Path, tmp_path: Path, method: str, changes: dict[str, str]
) -> None:
    from tests.training.ssl.examples import loss_curve

    wanted = recipe(method, optimizer__name="sgd", optimizer__lr="0.06", optimizer__end_lr="0.06", ema__start="0.9",
                    optimizer__weight_decay="0", optimizer__warmup_epochs="0", ema__end="0.9", **changes)  # fmt: skip
    table = open_images(people, None, Silent())
    plan = Plan.of(wanted, table.count, 1)
    batches = [Batch(epoch, step, 0) for epoch in range(3) for step in range(plan.steps)]
    views = ViewBatches(table, wanted, plan, batches)
    pairs = [views[place].every for place in range(len(batches))]
    assert {tuple(view.shape[2:]) for view in pairs[0]} == ({(64, 32), (32, 16)} if changes else {(64, 32)})
    assert len(pairs[0]) == 2 + int(changes.get("views__local", 0))
    torch.manual_seed(wanted.run.seed)
    epochs = [pairs[place : place + plan.steps] for place in range(0, len(pairs), plan.steps)]
    theirs = loss_curve(method, TinyNet(), wanted, epochs, 0.06)
    go(people, tmp_path, wanted)
    ours = pd.read_csv(tmp_path / "epochs.csv")["loss"]
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    assert np.ptp(theirs) > 1e-3


@pytest.mark.parametrize("method", ["moco_v2", "triplet", "dino"])
def test_resuming_gives_the_same_bits(people: Path, tmp_path: Path, method: str) -> None:
    wanted = recipe(method, run__batch="12", run__images_per_step="12", run__seed="3")
    go(people, tmp_path / "whole", wanted)
    assert not go(people, tmp_path / "parts", wanted, stop_after=4)["finished"]
    go(people, tmp_path / "parts", wanted, go_on=True, stop_after=1)
    go(people, tmp_path / "parts", wanted, go_on=True, workers=1)
    assert same(tmp_path / "whole", tmp_path / "parts")
    ours, theirs = (pd.read_csv(tmp_path / name / "epochs.csv") for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(ours.drop(columns="images_per_second"), theirs.drop(columns="images_per_second"))
    assert {path.name for path in (tmp_path / "whole").iterdir()} >= {"last.pt", "curve.png", "backbone.pth"}


def test_accumulated_gradients_are_their_mean(people: Path, tmp_path: Path) -> None:
    """By hand: two batches' losses, one step of plain SGD."""
    wanted = recipe(run__batch="12", run__images_per_step="24", run__epochs="1", optimizer__name="sgd",
                    optimizer__lr="0.1", optimizer__end_lr="0.1", optimizer__momentum="0", optimizer__weight_decay="0",
                    optimizer__warmup_epochs="0")  # fmt: skip
    table, request = open_images(people, None, Silent()), TrainRequest(tmp_path, "cpu", stop_after=1)
    trainer = SslTrainer(wanted, table, request, make_fabric(request, "32-true"), Silent())
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    views = ViewBatches(table, wanted, Plan.of(wanted, table.count, 1), [Batch(0, 0, 0), Batch(0, 0, 1)])
    twin = SslTrainer(wanted, table, request, make_fabric(request, "32-true"), Silent()).network.train()
    loss = sum(twin(views[place].first, views[place].second) for place in range(2)) / 2
    loss.backward()
    trainer.fit()
    for name, value in trainer.network.named_parameters():
        gradient = dict(twin.named_parameters())[name].grad
        torch.testing.assert_close(value, before[name] - 0.1 * gradient, rtol=1e-4, atol=1e-6)


FAST = {"moco_v2", "dino", "triplet"}
"""A queue, a teacher, a loss of our own: the other methods run the same way in the slow tests."""


@pytest.mark.parametrize(
    "method", [pytest.param(one, marks=[] if one in FAST else [pytest.mark.slow]) for one in METHODS]
)
def test_eval_reads_what_comes_out(bench: Any, people: Path, tmp_path: Path, method: str) -> None:
    sets = [f"--set={key}={value}" for key, value in (SHORT | {"run.epochs": "1"}).items()]
    words = ["train", f"{method}_tiny", "--data", people, "--output", tmp_path / "r", *sets]
    outcome = bench(*words, "--export-backbone", "--json")
    assert outcome.code == 0, outcome.err
    assert [Path(name).name for name in outcome.json["files"]] == [
        "last.pt", "epochs.csv", "curve.png", "tensorboard", "backbone.pth"]  # fmt: skip
    records = [
        bench("eval", tmp_path / "r" / name, "--data", people, "--output", tmp_path / name, "--json").json
        for name in ("last.pt", "backbone.pth")
    ]
    assert records[0]["model"]["adapter"] == records[1]["model"]["adapter"] == "tiny"
    assert records[0]["metrics"] == records[1]["metrics"]


def test_weights_of_any_card_begin_a_training(people: Path, tmp_path: Path) -> None:
    go(people, tmp_path / "first", recipe("byol", run__epochs="1"))
    wanted = recipe("dino", run__epochs="1", network__weights=str(tmp_path / "first" / "last.pt"))
    request = TrainRequest(tmp_path / "second", "cpu")
    table = open_images(people, None, Silent())
    trainer = SslTrainer(wanted, table, request, make_fabric(request, "32-true"), Silent())
    begun, state = weights(tmp_path / "first"), trainer.network.state_dict()
    names = [name for name in begun if name.startswith("backbone.") and "num_batches" not in name]
    assert names
    assert all(torch.equal(begun[name], state[name]) for name in names)
    with pytest.raises(UsageError, match="of the trunk resnet18"):
        go(people, tmp_path / "third", recipe(network__name="resnet18",
           network__weights=str(tmp_path / "first" / "last.pt")))  # fmt: skip


def test_two_processes_train(bench: Any, people: Path, tmp_path: Path) -> None:
    """Eight images each, as two batches of one process: BYOL's loss looks at no other image but by batch norms."""
    changes = SHORT | {"run.epochs": "2", "run.batch": "8", "run.images_per_step": "16"}
    arguments = ["train", "byol_tiny", "--data", str(people), "--accelerator", "cpu"]
    arguments += [f"--set={key}={value}" for key, value in changes.items()]
    for name, processes in (("one", 1), ("two", 2)):
        done = bench(*arguments, "--output", tmp_path / name, processes=processes)
        assert done.code == 0, done.err
    one, two = (pd.read_csv(tmp_path / name / "epochs.csv") for name in ("one", "two"))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-3)
    assert one["lr"].tolist() == two["lr"].tolist()


def test_a_fault_is_kept_and_replayed(bench: Any, people: Path, tmp_path: Path) -> None:
    changes = SHORT | {"optimizer.name": "sgd", "optimizer.lr": "1e30", "optimizer.warmup_epochs": "0"}
    words = ["train", "simclr_tiny", "--data", people, "--output", tmp_path / "r",
             *(f"--set={key}={value}" for key, value in changes.items())]  # fmt: skip
    broken = bench(*words)
    assert broken.code == 4
    assert "--replay" in broken.err
    told = bench(*words, "--replay", "--json")
    assert told.code == 0, told.err
    found = told.json["replay"]
    assert not np.isfinite(found["losses"]).all()
    assert found["epoch"] >= 1
    assert found["first_fault"] or found["weights_at_fault"]


def test_what_cannot_be_resumed_is_refused(people: Path, tmp_path: Path) -> None:
    go(people, tmp_path / "r", recipe(), stop_after=1)
    with pytest.raises(UsageError, match="another recipe") as caught:
        go(people, tmp_path / "r", recipe("byol"), go_on=True)
    assert caught.value.details[0] == "method was simclr and is byol"
    with pytest.raises(UsageError, match="another recipe"):
        go(people, tmp_path / "r", recipe(run__epochs="4"), go_on=True)  # the cosine would be another
    with pytest.raises(UsageError, match="holds a run"):
        go(people, tmp_path / "r", recipe())
    with pytest.raises(DataError, match="does not exist"):
        go(people, tmp_path / "n", recipe(), go_on=True)
    (tmp_path / "r" / "last.pt").write_bytes(b"x" * 200)
    with pytest.raises(IntegrityError, match="changed or damaged"):
        go(people, tmp_path / "r", recipe(), go_on=True)
    with pytest.raises(UsageError) as caught:
        recipe("simclr", views__local="2")
    assert caught.value.details == ["views.local = 2: simclr has no local views, only dino has"]
    with pytest.raises(UsageError, match="smallest share is larger"):
        recipe("dino", views__local="2", views__local_scale="[0.4, 0.1]")
    with pytest.raises(UsageError, match="a step takes"):
        go(people, tmp_path / "m", recipe(run__images_per_step="1600"))


def test_the_published_recipe_is_the_published_one() -> None:
    assert {*METHODS, *(f"{method}_tiny" for method in METHODS)} == set(ssl_recipe_names())
    for method in METHODS:
        run = load_ssl_recipe(method).run
        assert (run.epochs, run.batch, run.images_per_step) == (10, 196, 6272)
        assert [Plan.of(load_ssl_recipe(method), 29_606_918, world).chunks // world for world in (1, 4)] == [32, 8]
    triplet = load_ssl_recipe("triplet")
    assert (triplet.optimizer.name, triplet.optimizer.lr, triplet.optimizer.warmup_epochs) == ("lars", 4.8, 2.0)
    assert (triplet.views.online_sides, triplet.views.target_sides) == ((96, 224), (128, 224))
    assert json.loads(triplet.ema.model_dump_json()) == {"start": 0.99, "end": 1.0}


def test_bfloat16_trains_with_losses_in_float32(people: Path, tmp_path: Path) -> None:
    go(people, tmp_path / "full", recipe("simclr", run__epochs="2"))
    go(people, tmp_path / "half", recipe("simclr", run__epochs="2", run__precision="bf16-mixed"))
    full, half = (pd.read_csv(tmp_path / name / "epochs.csv")["loss"] for name in ("full", "half"))
    np.testing.assert_allclose(full, half, rtol=0.05)
    assert not np.array_equal(full, half)
    with torch.autocast("cpu", torch.bfloat16):
        network = build_method(recipe("vicreg"), TinyNet(), 128)
        assert network(torch.randn(4, 3, 64, 32), torch.randn(4, 3, 64, 32)).dtype == torch.float32
