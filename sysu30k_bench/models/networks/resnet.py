"""Residual networks whose weights were ported from TensorFlow or JAX, where strided layers pad asymmetrically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

Padding = Literal["symmetric", "same", "same_pool"]


class PortedResNet(ResNetTrunk):
    """A ResNet whose padding is an option, for weights that do not tell where they were trained.

    Args:
        padding: `symmetric` as torch trains. `same` pads every strided layer as TensorFlow's and JAX's SAME does, more
            after than before: for weights converted from DeepMind's BYOL, which is in Haiku. `same_pool` does so in
            the max pooling alone: for weights converted from google-research/simclr, whose strided convolutions pad
            by their kernel as torch's do (its `resnet.py`).
        options: As for `ResNetTrunk`.

    Raises:
        ValueError: There is no such padding.
    """

    def __init__(self, padding: Padding = "symmetric", **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        if padding not in {"symmetric", "same", "same_pool"}:
            raise ValueError(f"padding is symmetric, same or same_pool, not {padding}")
        if padding != "symmetric":
            self.maxpool = _SameMaxPool(3, stride=2)
        if padding == "same":
            for module in self.modules():
                if isinstance(module, nn.Conv2d) and module.stride != (1, 1):
                    _pad_as_same(module)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """As `ResNetTrunk.structure`."""
        return ResNetTrunk.structure(tensors)


def same_margins(height: int, width: int, kernel: int, stride: int) -> tuple[int, int, int, int]:
    """Returns SAME's margins (left, right, top, bottom): the output has ceil(size / stride) rows and columns."""
    needed = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in (width, height)]
    return needed[0] // 2, needed[0] - needed[0] // 2, needed[1] // 2, needed[1] - needed[1] // 2


class _SameMaxPool(nn.MaxPool2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  the name in nn.MaxPool2d
        margins = same_margins(input.shape[2], input.shape[3], 3, 2)
        pooled: torch.Tensor = super().forward(nn.functional.pad(input, margins, value=float("-inf")))
        return pooled


def _pad_as_same(convolution: nn.Conv2d) -> None:
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    convolution.padding = (0, 0)

    def pad(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (nn.functional.pad(inputs[0], same_margins(inputs[0].shape[2], inputs[0].shape[3], kernel, stride)),)

    convolution.register_forward_pre_hook(pad)
