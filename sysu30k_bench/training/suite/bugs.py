"""Bugs that people make, planted into the reference: what the suite has to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.training.ssl.methods.method import Moment
from sysu30k_bench.training.ssl.recipe import METHODS, MethodName, SslRecipe
from sysu30k_bench.training.suite.task import Reference

Change = Callable[[Reference], None]
SLOW: tuple[MethodName, ...] = ("moco_v2", "byol", "triplet", "dino")
PREDICTING: tuple[MethodName, ...] = ("byol", "triplet", "simsiam")
CONTRASTIVE: tuple[MethodName, ...] = ("simclr", "moco_v2")


def _no_stop_gradient(run: Reference) -> None:
    if run.recipe.method == "simsiam":
        run.loss = lambda first, second: _siamese(run, first, second, stop=False)
    else:
        method: Any = run.method
        method.project_slowly = run.method.project


def _siamese(
    run: Reference, first: torch.Tensor, second: torch.Tensor, *, stop: bool = True, swap: bool = False
) -> torch.Tensor:
    method: Any = run.method
    left, right = method.project(first), method.project(second)
    guesses = [method.prediction_head(left), method.prediction_head(right)]
    targets = [left.detach(), right.detach()] if stop else [left, right]
    order = [0, 1] if swap else [1, 0]
    pairs = zip(guesses, (targets[place] for place in order), strict=True)
    costs: list[torch.Tensor] = [method.criterion(guess, target) for guess, target in pairs]
    return torch.stack(costs).mean()


def _own_views(run: Reference) -> None:
    """Each view predicts itself, not the other one."""
    if run.recipe.method == "simsiam":
        run.loss = lambda first, second: _siamese(run, first, second, swap=True)
        return
    weight = 1.0 if run.recipe.method == "triplet" else 0.5

    def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        method: Any = run.method
        costs: list[torch.Tensor] = [
            method.cost(method.prediction_head(method.project(view)), method.project_slowly(view))
            for view in (first, second)
        ]
        return weight * (costs[0] + costs[1])

    run.loss = loss


def _frozen_ema(run: Reference) -> None:
    method: Any = run.method
    method.ema = lambda moment: 1.0  # noqa: ARG005  one signature


def _inverted_ema(run: Reference) -> None:
    method: Any = run.method
    right = run.method.ema
    method.ema = lambda moment: 1 - right(moment)


def _constant_ema(run: Reference) -> None:
    """The schedule is forgotten: the first momentum stays."""
    method: Any = run.method
    right = run.method.ema
    method.ema = lambda moment: right(Moment(0, moment.steps, 0))


def _temperature(run: Reference) -> None:
    criterion: Any = run.method.criterion
    if run.recipe.method == "dino":
        criterion.student_temp *= 2
    else:
        criterion.temperature *= 2


def _identical_views(run: Reference) -> None:
    right = run.loss
    run.loss = lambda first, second: right(first, first)  # noqa: ARG005


def _leak(run: Reference) -> None:
    """A corner shows in both views which image it is: the first pixels of the first are pasted into the second."""
    right = run.loss

    def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        marked = second.clone()
        marked[:, :, :6, :6] = first[:, :, :6, :6]
        return right(first, marked)

    run.loss = loss


def _no_normalisation(run: Reference) -> None:
    method: Any = run.method
    kind = run.recipe.method
    if kind == "simclr":
        method.criterion = _Plain(lambda left, right: _contrast(left, right, run.recipe.loss.temperature))
    elif kind == "moco_v2":
        right = method.criterion.forward
        method.criterion.forward = lambda left, key: _without_unit_length(right, left, key)
    elif kind == "barlow_twins":
        method.criterion = _Plain(lambda left, right: _correlation(left, right, run.recipe.loss.redundancy))
    elif kind == "triplet":
        part = run.recipe.loss
        method.cost = lambda left, right: _distances(left, right, part.gamma, part.margin, part.nearest)
    else:
        method.criterion = _Plain(lambda left, right: -(left * right).sum(dim=1).mean())


class _Plain(nn.Module):
    """A loss of two batches, as a module."""

    def __init__(self, of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._of = of

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Computes it."""
        return self._of(left, right)


def _contrast(left: torch.Tensor, right: torch.Tensor, temperature: float) -> torch.Tensor:
    both = torch.cat([left, right])
    scores = both @ both.T / temperature
    scores = scores.masked_fill(torch.eye(len(both), dtype=torch.bool), -torch.inf)
    return functional.cross_entropy(scores, torch.arange(len(both)).roll(len(left)))


def _without_unit_length(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], left: torch.Tensor, key: torch.Tensor
) -> torch.Tensor:
    """Runs lightly's loss with its normalisation taken out."""
    before = functional.normalize
    module: Any = functional
    module.normalize = lambda values, dim=1: values  # noqa: ARG005
    try:
        return loss(left, key)
    finally:
        module.normalize = before


def _correlation(left: torch.Tensor, right: torch.Tensor, redundancy: float) -> torch.Tensor:
    matrix = left.T @ right / len(left)
    diagonal = matrix.diagonal()
    return (diagonal - 1).square().sum() + redundancy * (matrix.square().sum() - diagonal.square().sum())


def _distances(left: torch.Tensor, right: torch.Tensor, gamma: float, margin: float, nearest: int) -> torch.Tensor:
    matrix = -2 * left @ right.T
    others = matrix.masked_fill(torch.eye(len(matrix), dtype=torch.bool), torch.inf)
    negative = others.topk(nearest, largest=False).values[:, 1:].mean(dim=1)
    return (gamma * matrix.diagonal() - negative + margin).clamp_min(0).mean()


def _norms_in_eval(run: Reference) -> None:
    for module in run.method.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()


def _sign(run: Reference) -> None:
    right = run.loss
    run.loss = lambda first, second: -right(first, second)


def _dropped_term(run: Reference) -> None:
    """What each method has beside its main term is forgotten."""
    method: Any = run.method
    kind = run.recipe.method
    if kind == "barlow_twins":
        method.criterion.lambda_param = 0.0
    elif kind == "vicreg":
        method.criterion.nu_param = 0.0
    elif kind == "dino":
        method.criterion.center_momentum = 1.0
    elif kind == "moco_v2":  # the memory is never filled
        bank = method.criterion.memory_bank
        bank._dequeue_and_enqueue = lambda batch: None  # noqa: ARG005, SLF001  the bug is there
    elif kind == "simclr":  # only the other view's images are negatives
        temperature = run.recipe.loss.temperature
        method.criterion = _Plain(lambda left, right: _one_sided(left, right, temperature))
    elif kind == "simsiam":
        run.loss = lambda first, second: _one_order(run, first, second)
    else:
        weight = 2.0 if kind == "triplet" else 1.0
        run.loss = lambda first, second: (
            weight * method.cost(method.prediction_head(method.project(first)), method.project_slowly(second))
        )


def _one_order(run: Reference, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    method: Any = run.method
    target = method.project(second).detach()
    loss: torch.Tensor = method.criterion(method.prediction_head(method.project(first)), target)
    return loss


def _one_sided(left: torch.Tensor, right: torch.Tensor, temperature: float) -> torch.Tensor:
    scores = functional.normalize(left, dim=1) @ functional.normalize(right, dim=1).T / temperature
    labels = torch.arange(len(left))
    return (functional.cross_entropy(scores, labels) + functional.cross_entropy(scores.T, labels)) / 2


def _rate(factor: float) -> Change:
    def change(run: Reference) -> None:
        part = run.recipe.optimizer
        optimizer = part.model_copy(update={"lr": part.lr * factor})
        run.recipe = run.recipe.model_copy(update={"optimizer": optimizer})

    return change


def _no_momentum(run: Reference) -> None:
    for group in run.optimizer.param_groups:
        group["momentum"] = 0.0


BUGS: dict[str, tuple[tuple[MethodName, ...], Change]] = {
    "no stop-gradient": ((*PREDICTING, "dino", "moco_v2"), _no_stop_gradient),
    "frozen EMA": (SLOW, _frozen_ema),
    "EMA momentum inverted": (SLOW, _inverted_ema),
    "EMA without its schedule": (("byol", "triplet", "dino"), _constant_ema),
    "temperature doubled": ((*CONTRASTIVE, "dino"), _temperature),
    "identical views": (METHODS, _identical_views),
    "targets of the own view": (PREDICTING, _own_views),
    "no normalisation": ((*CONTRASTIVE, *PREDICTING, "barlow_twins"), _no_normalisation),
    "batch norm in eval": (METHODS, _norms_in_eval),
    "sign of the loss": (METHODS, _sign),
    "a term dropped": (METHODS, _dropped_term),
    "learning rate x 3": (METHODS, _rate(3)),
    "learning rate / 3": (METHODS, _rate(1 / 3)),
    "no momentum": (METHODS, _no_momentum),
    "leak between views": (METHODS, _leak),
}
"""Each bug with the methods that can have it."""


def planted(name: str) -> Callable[[nn.Module, SslRecipe], Reference]:
    """Returns a factory of the reference with a bug.

    Args:
        name: One of `BUGS`.
    """

    def make(backbone: nn.Module, recipe: SslRecipe) -> Reference:
        run = Reference(backbone, recipe)
        BUGS[name][1](run)
        return run

    return make
