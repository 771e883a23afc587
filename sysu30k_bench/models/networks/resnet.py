"""torchvision's ResNets with what weights do not tell: the last stride, and how strided layers pad."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.sources import RemovedLayer

Padding = Literal["symmetric", "same", "same_pool"]


def resnet50(last_stride: int = 2, padding: Padding = "symmetric") -> nn.Module:
    """Builds torchvision's ResNet-50 without its classifier; see `resnet`."""
    return resnet("resnet50", last_stride=last_stride, padding=padding)


def resnet(arch: str, last_stride: int = 2, padding: Padding = "symmetric") -> nn.Module:
    """Builds a ResNet of torchvision's without its classifier.

    Args:
        arch: Such as `resnet18` or `resnext50_32x4d`.
        last_stride: Stride of the last stage: 2 as in ImageNet training and DGL, or 1, which doubles the last map
            (Luo et al., Bag of Tricks and a Strong Baseline for Deep Person Re-identification, CVPRW 2019).
        padding: `symmetric` as torch trains. `same` pads every strided layer as TensorFlow's and JAX's SAME does, more
            after than before: for weights converted from DeepMind's BYOL, which is in Haiku. `same_pool` does so in
            the max pooling alone: for weights converted from google-research/simclr, whose strided convolutions pad
            by their kernel as torch's do (its `resnet.py`).

    Returns:
        A network that maps (N, 3, H, W) to (N, D), D = 2,048, or 512 for depths 18 and 34.

    Raises:
        ValueError: There is no such ResNet, or an option has no such value.
    """
    if last_stride not in {1, 2}:
        raise ValueError(f"last_stride is 1 or 2, not {last_stride}")
    if padding not in {"symmetric", "same", "same_pool"}:
        raise ValueError(f"padding is symmetric, same or same_pool, not {padding}")
    network: nn.Module = models.get_model(arch, weights=None)
    if type(network) is not models.ResNet:
        raise ValueError(f"{arch} is no ResNet")
    network.fc = RemovedLayer()
    if last_stride == 1:
        set_stride(network.get_submodule("layer4"), last_stride)
    if padding != "symmetric":
        network.maxpool = _SameMaxPool(3, stride=2)
    if padding == "same":
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.stride != (1, 1):
                _pad_as_same(module)
    return network


def set_stride(stage: nn.Module, stride: int) -> None:
    """Sets the stride of a ResNet stage of bottleneck blocks.

    Args:
        stage: The stage; its first block has a shortcut convolution.
        stride: The stride of that block.

    Raises:
        ValueError: The stage has basic blocks (ResNet-18 and 34), whose stride stands elsewhere.
    """
    if not hasattr(stage.get_submodule("0"), "conv3"):
        raise ValueError("last_stride is for ResNets of bottleneck blocks")
    for path in ("0.conv2", "0.downsample.0"):
        convolution = stage.get_submodule(path)
        if isinstance(convolution, nn.Conv2d):
            convolution.stride = (stride, stride)


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
