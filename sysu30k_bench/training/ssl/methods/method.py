"""What all methods have in common: a trunk, heads, sometimes a slow copy of both, and a loss of two views."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import nn

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.recipe import SslRecipe

Sizes = tuple[int, int]


class Moment(NamedTuple):
    """Where a run is.

    Attributes:
        step: Step of the optimiser, from 0, over all epochs.
        steps: How many there will be.
        epoch: From 0.
        online: Rows and columns to which the trained network's views are resized; (0, 0) for as they are.
        target: The same for the slow copy's.
    """

    step: int
    steps: int
    epoch: int
    online: Sizes = (0, 0)
    target: Sizes = (0, 0)


class Method(nn.Module, ABC):
    """A self-supervised method, in the names that lightly's examples give its parts.

    Args:
        recipe: Widths, temperatures and the like.
        backbone: Maps (N, 3, H, W) to (N, D) features.
        width: D.
        processes: Whether losses gather the batches of all processes, where the method's loss does.
    """

    pair = ("backbone", "projection_head")
    """The parts that a slow copy is made of."""

    def __init__(self, recipe: SslRecipe, backbone: nn.Module, width: int, *, processes: bool = False) -> None:
        super().__init__()
        self.recipe = recipe
        self.backbone = backbone
        self.features: torch.Tensor | None = None
        """What the trunk made of the last first views, without gradient; monitors look at it."""
        self.moment = Moment(0, 1, 0)
        self.build(width, processes=processes)

    @abstractmethod
    def build(self, width: int, *, processes: bool) -> None:
        """Makes heads and loss; see the class for the arguments."""

    @abstractmethod
    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Returns the loss of two views (N, 3, H, W) of the same images, a float32 scalar."""

    def begin_step(self, moment: Moment) -> None:
        """Is called before the forward passes of each step of the optimiser; moves the slow copy.

        Args:
            moment: Where the run is.
        """
        self.moment = moment
        slow = [(getattr(self, name), getattr(self, f"{name}{self.suffix}", None)) for name in self.pair]
        for fast, copied in slow:
            if copied is not None:
                lightly_part("models.utils", "update_momentum")(fast, copied, m=self.ema(moment))

    def ema(self, moment: Moment) -> float:
        """Returns the momentum of a step, by lightly's cosine schedule over all steps of the optimiser."""
        part = self.recipe.ema
        schedule: Any = lightly_part("utils.scheduler", "cosine_schedule")
        return float(schedule(moment.step, moment.steps, part.start, part.end))

    suffix = "_momentum"
    """Of the slow copy's names."""

    def add_slow_copy(self) -> None:
        """Copies trunk and projection head; no gradient reaches the copies."""
        for name in self.pair:
            copied = copy.deepcopy(getattr(self, name))
            copied.requires_grad_(requires_grad=False)
            self.add_module(f"{name}{self.suffix}", copied)

    def project(self, images: torch.Tensor, *, watch: bool = False) -> torch.Tensor:
        """Runs trunk and projection head.

        Args:
            images: (N, 3, H, W).
            watch: Keep the features for monitors.
        """
        features: torch.Tensor = self.backbone(images).flatten(start_dim=1)
        if watch:
            self.features = features.detach()
        projected: torch.Tensor = self.get_submodule("projection_head")(features)
        return projected

    @torch.no_grad()
    def project_slowly(self, images: torch.Tensor) -> torch.Tensor:
        """Runs the slow copies of trunk and projection head."""
        backbone, head = (getattr(self, f"{name}{self.suffix}") for name in self.pair)
        projected: torch.Tensor = head(backbone(images).flatten(start_dim=1))
        return projected.detach()


def in_float32(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """Returns tensors in float32, see `precisely`."""
    return [tensor.float() for tensor in tensors]


def precisely(like: torch.Tensor) -> torch.autocast:
    """Returns a context without autocast: losses are computed in float32 whatever the network's arithmetic.

    Args:
        like: A tensor on the device.
    """
    return torch.autocast(like.device.type, enabled=False)
