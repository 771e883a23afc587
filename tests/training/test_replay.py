"""A step whose loss is not finite can be looked at again, and fp16's scaler outlives an interruption."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.fabric import TrainRequest
from sysu30k_bench.training.images import Position
from sysu30k_bench.training.networks import build_network
from sysu30k_bench.training.optimizers import build_optimizer
from sysu30k_bench.training.recipe import load_recipe
from sysu30k_bench.training.replay import FaultFinder, weights_at_fault
from sysu30k_bench.training.run import run_recipe
from sysu30k_bench.training.state import State, resume, save

SETTINGS = {"run.epochs": "5", "run.validation_identities": "0", "bags.identities_per_batch": "4",
            "optimizer.milestones": "[]", "optimizer.lr": "1e30", "optimizer.name": "sgd"}  # fmt: skip


@pytest.mark.parametrize("unary", ["1.0", "cmil"])
def test_the_step_is_done_again(tmp_path: Path, unary: str) -> None:
    write_twin(tmp_path / "t", TwinRequest(identities=2, distractors=2, training=8, training_images=4), Silent())
    wanted = load_recipe("tiny", SETTINGS | {"loss.unary": unary})
    with pytest.raises(IntegrityError, match="the loss is") as caught:
        run_recipe(wanted, tmp_path / "t", None, TrainRequest(tmp_path / "r", "cpu"), Silent())
    assert "--replay" in str(caught.value.hint)
    request = TrainRequest(tmp_path / "r", "cpu", go_on=True, replay=True)
    told: Any = run_recipe(wanted, tmp_path / "t", None, request, Silent())
    found = told["replay"]
    assert f"epoch {found['epoch']}, batch {found['batch']}" in caught.value.message
    assert not math.isfinite(found["losses"][0]["total"])
    assert found["first_fault"] or found["weights_at_fault"]


def test_the_first_module_at_fault_is_named() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.fill_(1e30)
        network[2].weight.fill_(1e30)
    with FaultFinder(network) as finder:
        network(torch.ones(1, 2))
    assert finder.first == "2 (Linear)"
    assert weights_at_fault(network) == []
    network(torch.full((1, 2), math.nan))  # no longer watched
    assert finder.first == "2 (Linear)"


def test_the_scaler_of_fp16_is_saved_and_filled(tmp_path: Path) -> None:
    class Precision:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def state_dict(self) -> dict[str, float]:
            return {"scale": self.scale}

        def load_state_dict(self, state: dict[str, float]) -> None:
            self.scale = state["scale"]

    def engine(scale: float) -> Any:
        return SimpleNamespace(strategy=SimpleNamespace(precision=Precision(scale)))

    wanted = load_recipe("tiny")
    network = build_network("tiny", 3)
    optimizer = build_optimizer(network, wanted.optimizer)
    save(tmp_path / "a.pt", network, optimizer, wanted, "x", State(Position(1, 2), [], {}, -1.0), engine(512.0))
    after = engine(65_536.0)
    resume(tmp_path / "a.pt", network, optimizer, wanted, "x", after)
    assert after.strategy.precision.scale == 512.0
