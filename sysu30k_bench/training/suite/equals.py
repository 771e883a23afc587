"""Right implementations whose bits are others than the reference's: the suite has to let them pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sysu30k_bench.training.ssl.recipe import SslRecipe
from sysu30k_bench.training.suite.task import Reference


def _channels_last(run: Reference) -> None:
    run.method.to(memory_format=torch.channels_last)


def _other_rounding(run: Reference) -> None:
    """Pixels that differ in their last bits, as another image library gives them."""
    right = run.loss
    run.loss = lambda first, second: right(first * (1 + 1e-7), second * (1 - 1e-7))


def _batch_order(run: Reference) -> None:
    """All sums over the batch are made in another order."""
    right = run.loss

    def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        order = torch.randperm(len(first), generator=torch.Generator().manual_seed(run.number))
        return right(first[order], second[order])

    run.loss = loss


def _double_precision(run: Reference) -> None:
    """The network without rounding worth the name; methods compute their losses in float32."""
    for name, part in run.method.named_children():
        if name != "criterion":
            part.double()
        if name.startswith("backbone"):  # evaluated on float32
            part.register_forward_pre_hook(lambda module, images: (images[0].double(),))  # noqa: ARG005
    right = run.loss
    run.loss = lambda first, second: right(first.double(), second.double())


def _other_convolutions(run: Reference) -> None:
    """Torch's own kernels in place of oneDNN's."""
    instance: Any = run

    def step(first: torch.Tensor, second: torch.Tensor) -> float:
        with torch.backends.mkldnn.flags(enabled=False):
            return Reference.step(run, first, second)

    instance.step = step


def _equal(change: Callable[[Reference], None]) -> Callable[[nn.Module, SslRecipe], Reference]:
    def make(backbone: nn.Module, recipe: SslRecipe) -> Reference:
        run = Reference(backbone, recipe)
        change(run)
        return run

    return make


EQUALS = {
    "channels last": _equal(_channels_last),
    "other rounding": _equal(_other_rounding),
    "batch in another order": _equal(_batch_order),
    "double precision": _equal(_double_precision),
    "other convolutions": _equal(_other_convolutions),
}
"""A factory for each."""
