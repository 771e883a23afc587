"""Checkpoints that were damaged, processes that were killed between two writes, and what they leave."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.progress import Silent
from sysu30k_bench.training import logs as logs_module
from sysu30k_bench.training.fabric import TrainRequest
from sysu30k_bench.training.logs import Logs
from sysu30k_bench.training.networks import build_network
from sysu30k_bench.training.optimizers import build_optimizer
from sysu30k_bench.training.recipe import Recipe, load_recipe
from sysu30k_bench.training.run import run_recipe
from sysu30k_bench.training.state import resume

SETTINGS = {"run.epochs": "2", "run.validation_identities": "0", "bags.identities_per_batch": "4",
            "optimizer.milestones": "[]"}  # fmt: skip


def recipe(**changes: str) -> Recipe:
    return load_recipe("tiny", SETTINGS | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("going-on") / "twin"
    write_twin(root, TwinRequest(identities=4, distractors=4, training=10, training_images=4), Silent())
    return root


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    go(data, folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def go(data: Path, folder: Path, wanted: Recipe | None = None, **request: Any) -> dict[str, Any]:
    told = run_recipe(wanted or recipe(), data, None, TrainRequest(folder, "cpu", **request), Silent())
    assert told is not None
    return told


def test_no_damaged_checkpoint_is_gone_on_from(run: Path) -> None:
    """Torch itself reads most of these without a word."""
    network = build_network("tiny", 10)
    optimizer = build_optimizer(network, recipe().optimizer)
    path, fabric = run / "last.pt", Fabric(accelerator="cpu", devices=1)
    whole, rng, silent = path.read_bytes(), np.random.default_rng(0), 0
    for trial in range(100):
        place = int(rng.integers(len(whole)))
        flipped = whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :]
        path.write_bytes(whole[:place] if trial % 10 == 0 else flipped)
        with pytest.raises(IntegrityError, match="is not a checkpoint of this version's `train`"):
            resume(path, network, optimizer, recipe(), "", fabric)
        with contextlib.suppress(Exception):  # whatever torch says
            silent += bool(torch.load(path, weights_only=True))
    assert silent > 50
    path.write_bytes(whole)
    with pytest.raises(UsageError, match="other images or bags"):
        resume(path, network, optimizer, recipe(), "", fabric)


def test_a_checkpoint_of_an_earlier_version_is_refused_and_told_so(run: Path, data: Path) -> None:
    torch.save(torch.load(run / "last.pt", weights_only=True), run / "last.pt")
    with pytest.raises(IntegrityError, match="an earlier version wrote it, without a digest"):
        go(data, run, go_on=True)


def test_a_checkpoint_is_still_what_torch_reads(run: Path) -> None:
    for mapped in (True, False):
        content = torch.load(run / "last.pt", weights_only=True, mmap=mapped)
        assert set(content) == {"state_dict", "optimizer", "training", "scaler"}


@pytest.mark.parametrize("lost", ["row", "table", "curve", "board"])
def test_what_was_lost_after_the_last_checkpoint_is_written_by_the_next_process(
    run: Path, data: Path, lost: str
) -> None:
    table = pd.read_csv(run / "epochs.csv")
    assert table["epoch"].tolist() == [1, 2]
    if lost == "row":
        table[:1].to_csv(run / "epochs.csv", index=False)
    elif lost == "board":
        shutil.rmtree(run / "tensorboard")
    else:
        (run / {"table": "epochs.csv", "curve": "curve.png"}[lost]).unlink()
    told = go(data, run, go_on=True)
    assert told["finished"]
    pd.testing.assert_frame_equal(pd.read_csv(run / "epochs.csv"), table)
    assert (run / "curve.png").stat().st_size > 1000
    assert steps(run, "loss") == [1, 2]


def steps(run: Path, name: str) -> list[int]:
    """What TensorBoard shows: later processes take the place of earlier ones."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(run / "tensorboard"))
    shown.Reload()
    return [event.step for event in shown.Scalars(name)]


def test_epochs_that_tensorboard_was_not_told_of_are_told_by_the_next_process(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "_SECONDS_BETWEEN_DRAWINGS", 1e9)
    with monkeypatch.context() as patched:
        patched.setattr(Logs, "note", lambda *_, **__: None)  # killed before anything was told
        go(data, tmp_path / "run", recipe(run__epochs="3"), stop_after=4)
    assert not (tmp_path / "run" / "epochs.csv").exists()
    go(data, tmp_path / "run", recipe(run__epochs="3"), go_on=True)
    assert pd.read_csv(tmp_path / "run" / "epochs.csv")["epoch"].tolist() == [1, 2, 3]
    assert steps(tmp_path / "run", "loss") == [1, 2, 3]


def test_what_killed_processes_were_writing_is_removed(run: Path, data: Path) -> None:
    left = [run / ".last.pt.77.partial", run / "candidate.pt"]
    for path in left:
        path.write_bytes(b"half")
    go(data, run, recipe(run__epochs="3"), go_on=True)
    assert not [path for path in left if path.exists()]


def test_the_candidate_is_gone_before_the_epoch_is(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed while it saves the epoch must not leave a third checkpoint."""
    seen: list[bool] = []
    wanted = recipe(run__validation_identities="3", run__epochs="1")

    def killed(*_: Any, **__: Any) -> None:
        seen.append((tmp_path / "run" / "candidate.pt").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(Logs, "note", killed)
    with pytest.raises(KeyboardInterrupt):
        go(data, tmp_path / "run", wanted)
    assert seen == [False]
    assert (tmp_path / "run" / "last.pt").is_file()


@pytest.mark.parametrize("name", ["last.pt", "epochs.csv", "curve.png", "tensorboard"])
def test_something_else_in_the_place_of_a_file_is_named(run: Path, data: Path, name: str) -> None:
    path = run / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a file")
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(DataError, match=name):
        go(data, run, recipe(run__epochs="3"), go_on=True)


def test_the_best_checkpoint_can_take_the_place_of_a_damaged_last(data: Path, tmp_path: Path) -> None:
    wanted = recipe(run__validation_identities="3", run__validate_every="1")
    go(data, tmp_path / "run", wanted)
    whole = pd.read_csv(tmp_path / "run" / "epochs.csv")
    (tmp_path / "run" / "best.pt").replace(tmp_path / "run" / "last.pt")
    assert go(data, tmp_path / "run", wanted, go_on=True)["finished"]
    again = pd.read_csv(tmp_path / "run" / "epochs.csv")
    pd.testing.assert_frame_equal(*(one.drop(columns="images_per_second") for one in (whole, again)))


def test_absurd_numbers_are_no_recipe() -> None:
    for key, value in {"run.epochs": "9" * 10_000, "input.height": "5000", "run.seed": str(2**64),
                       "input.padding": str(10**12), "run.accumulate": "0x" + "f" * 9_999}.items():  # fmt: skip
        with pytest.raises(UsageError, match=key):
            load_recipe("tiny", {key: value})
