"""What every implementation in the suite has to do, and the reference that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from sysu30k_bench.models.networks.tiny import WIDTHS
from sysu30k_bench.training.ssl.methods.build import build_method
from sysu30k_bench.training.ssl.methods.method import Method, Moment
from sysu30k_bench.training.ssl.optimizers import build_ssl_optimizer, set_ssl_rate
from sysu30k_bench.training.ssl.recipe import MethodName, SslRecipe, load_ssl_recipe
from sysu30k_bench.training.suite.people import HEIGHT, WIDTH

STEPS, BATCH = 24, 32
_RATES = {
    "simclr": 0.02,
    "moco_v2": 0.02,
    "byol": 0.1,
    "triplet": 0.02,
    "simsiam": 0.05,
    "barlow_twins": 0.002,
    "vicreg": 0.002,
    "dino": 0.1,
}


class Candidate(Protocol):
    """An implementation of a method, created for each run."""

    @property
    def backbone(self) -> nn.Module:
        """The trunk that it was given and trains, or the one that is to be evaluated."""

    def step(self, first: torch.Tensor, second: torch.Tensor) -> float:
        """Does one step of the optimiser on two views (N, 3, H, W) of the same images, and returns the loss."""


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of two views."""

Factory = Callable[[nn.Module, SslRecipe], Candidate]
"""Makes a candidate of a trunk, which maps (N, 3, H, W) to (N, 128), and the recipe that says all of the settings."""


def suite_recipe(method: MethodName) -> SslRecipe:
    """Returns what a method is trained by in the suite: plain SGD at one rate, so that a wrong scale shows."""
    changes = {
        "views.height": str(HEIGHT),
        "views.width": str(WIDTH),
        "views.solarize": "[0.0, 0.2]",
        "views.online_sides": "[0, 0]",
        "views.target_sides": "[0, 0]",
        "head.hidden": "128",
        "head.output": "256" if method == "dino" else "64",
        "optimizer.name": "sgd",
        "optimizer.lr": str(_RATES[method]),
        "optimizer.end_lr": str(_RATES[method]),
        "optimizer.weight_decay": "0",
        "optimizer.warmup_epochs": "0",
        "run.epochs": "1",
        "run.batch": str(BATCH),
        "ema.start": "0.9",
        "ema.end": "0.9" if method == "moco_v2" else "1.0",
        "loss.memory": "256",
    }
    return load_ssl_recipe(f"{method}_tiny", changes)


class Reference:
    """The method as `train` has it.

    Args:
        backbone: The trunk.
        recipe: All settings.

    Attributes:
        recipe: The same.
        method: The method.
        optimizer: Its optimiser.
        loss: Computes the loss of two views.
        number: Steps done.
    """

    def __init__(self, backbone: nn.Module, recipe: SslRecipe) -> None:
        self.recipe = recipe
        self.method: Method = build_method(recipe, backbone, WIDTHS[-1])
        self.method.train()
        self.optimizer = build_ssl_optimizer(self.method, recipe.optimizer)
        self.loss: Loss = self.method
        self.number = 0

    @property
    def backbone(self) -> nn.Module:
        """The trunk that is evaluated: DINO's teacher, else the one that is trained."""
        return getattr(self.method, "backbone_teacher", self.method.backbone)

    def step(self, first: torch.Tensor, second: torch.Tensor) -> float:
        """See `Candidate`."""
        set_ssl_rate(self.optimizer, self.recipe.optimizer, self.number, STEPS, 1)
        self.method.begin_step(Moment(self.number, STEPS, 0))
        loss = self.loss(first, second)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.number += 1
        return float(loss.detach())
