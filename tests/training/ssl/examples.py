"""The example loops of lightly's documentation, written down as they are: the oracle of the trainer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightly import loss as losses
from lightly.models import modules
from lightly.models.modules.heads import VICRegProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn

Step = Callable[..., torch.Tensor]


class Example(nn.Module):
    """Trunk, heads, and what a step does."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def slow(self, *names: str) -> None:
        for name in names:
            copied = copy.deepcopy(getattr(self, name))
            deactivate_requires_grad(copied)
            self.add_module(f"{name}_slow", copied)

    def move(self, m: float, *names: str) -> None:
        for name in names:
            update_momentum(getattr(self, name), getattr(self, f"{name}_slow"), m=m)


def simclr(net: Example, settings: Any) -> Step:
    net.head = modules.SimCLRProjectionHead(128, settings.head.hidden, settings.head.output)
    criterion = losses.NTXentLoss(temperature=settings.loss.temperature)
    return lambda x0, x1: criterion(net.head(net.backbone(x0)), net.head(net.backbone(x1)))


def moco_v2(net: Example, settings: Any) -> Step:
    net.head = modules.MoCoProjectionHead(128, settings.head.hidden, settings.head.output)
    net.slow("backbone", "head")
    size = (settings.loss.memory, settings.head.output)
    criterion = losses.NTXentLoss(memory_bank_size=size, temperature=settings.loss.temperature)

    def step(x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        net.move(settings.ema.start, "backbone", "head")
        query = net.head(net.backbone(x0))
        key = net.head_slow(net.backbone_slow(x1)).detach()
        return criterion(query, key)

    return step


def byol(net: Example, settings: Any) -> Step:
    net.head = modules.BYOLProjectionHead(128, settings.head.hidden, settings.head.output)
    net.predictor = modules.BYOLPredictionHead(settings.head.output, settings.head.predictor, settings.head.output)
    net.slow("backbone", "head")
    criterion = losses.NegativeCosineSimilarity()

    def step(x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        net.move(settings.ema.start, "backbone", "head")
        p0, z0 = net.predictor(net.head(net.backbone(x0))), net.head_slow(net.backbone_slow(x0)).detach()
        p1, z1 = net.predictor(net.head(net.backbone(x1))), net.head_slow(net.backbone_slow(x1)).detach()
        return 0.5 * (criterion(p0, z1) + criterion(p1, z0))

    return step


def simsiam(net: Example, settings: Any) -> Step:
    net.head = modules.SimSiamProjectionHead(128, settings.head.hidden, settings.head.output)
    net.predictor = modules.SimSiamPredictionHead(settings.head.output, settings.head.predictor, settings.head.output)
    criterion = losses.NegativeCosineSimilarity()

    def step(x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
        z0, z1 = net.head(net.backbone(x0)), net.head(net.backbone(x1))
        p0, p1 = net.predictor(z0), net.predictor(z1)
        return 0.5 * (criterion(p0, z1.detach()) + criterion(p1, z0.detach()))

    return step


def barlow_twins(net: Example, settings: Any) -> Step:
    net.head = modules.BarlowTwinsProjectionHead(128, settings.head.hidden, settings.head.output)
    criterion = losses.BarlowTwinsLoss(lambda_param=settings.loss.redundancy)
    return lambda x0, x1: criterion(net.head(net.backbone(x0)), net.head(net.backbone(x1)))


def vicreg(net: Example, settings: Any) -> Step:
    net.head = VICRegProjectionHead(128, settings.head.hidden, settings.head.output)
    criterion = losses.VICRegLoss()
    return lambda x0, x1: criterion(net.head(net.backbone(x0)), net.head(net.backbone(x1)))


def dino(net: Example, settings: Any) -> Step:
    part = settings.head
    net.head = modules.DINOProjectionHead(128, part.hidden, part.bottleneck, part.output, batch_norm=True)
    net.head_slow = modules.DINOProjectionHead(128, part.hidden, part.bottleneck, part.output, batch_norm=True)
    net.head_slow.load_state_dict(net.head.state_dict())
    deactivate_requires_grad(net.head_slow)
    net.slow("backbone")
    loss = settings.loss
    criterion = losses.DINOLoss(
        output_dim=part.output,
        warmup_teacher_temp=loss.teacher_warmup_temperature,
        teacher_temp=loss.teacher_temperature,
        warmup_teacher_temp_epochs=loss.teacher_warmup,
        student_temp=loss.temperature,
    )

    def step(x0: torch.Tensor, x1: torch.Tensor, *small: torch.Tensor) -> torch.Tensor:
        net.move(settings.ema.start, "backbone", "head")
        teacher = [net.head_slow(net.backbone_slow(view)) for view in (x0, x1)]
        student = [net.head(net.backbone(view)) for view in (x0, x1, *small)]
        return criterion(teacher, student, epoch=net.epoch)

    return step


EXAMPLES = {one.__name__: one for one in (simclr, moco_v2, byol, simsiam, barlow_twins, vicreg, dino)}


def loss_curve(
    name: str, backbone: nn.Module, settings: Any, epochs: Sequence[Sequence[tuple[torch.Tensor, ...]]], rate: float
) -> list[float]:
    """Trains by an example's loop, and returns the mean loss of each epoch."""
    net = Example(backbone)
    step = EXAMPLES[name](net, settings)
    optimizer = torch.optim.SGD(
        [parameter for parameter in net.parameters() if parameter.requires_grad], lr=rate, momentum=0.9
    )
    net.train()
    curve = []
    for net.epoch, batches in enumerate(epochs):
        found = []
        for views in batches:
            loss = step(*views)
            found.append(float(loss.detach()))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        curve.append(sum(found) / len(found))
    return curve
