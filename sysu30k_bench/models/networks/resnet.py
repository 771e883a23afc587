"""ResNet-50 with the last stride as an option: weights do not tell it, and published methods differ in it."""

from __future__ import annotations

from torch import nn
from torchvision import models

from sysu30k_bench.models.sources import RemovedLayer


def resnet50(last_stride: int = 2) -> nn.Module:
    """Builds torchvision's ResNet-50 without its classifier.

    Args:
        last_stride: Stride of the last stage: 2 as in ImageNet training and DGL, or 1, which doubles the last map
            (Luo et al., Bag of Tricks and a Strong Baseline for Deep Person Re-identification, CVPRW 2019).

    Returns:
        A network that maps (N, 3, H, W) to (N, 2048).

    Raises:
        ValueError: The stride is neither 1 nor 2.
    """
    if last_stride not in {1, 2}:
        raise ValueError(f"last_stride is 1 or 2, not {last_stride}")
    network: nn.Module = models.resnet50(weights=None)
    network.fc = RemovedLayer()
    set_stride(network.get_submodule("layer4"), last_stride)
    return network


def set_stride(stage: nn.Module, stride: int) -> None:
    """Sets the stride of a ResNet stage of bottleneck blocks.

    Args:
        stage: The stage; its first block has a shortcut convolution.
        stride: The stride of that block.
    """
    for path in ("0.conv2", "0.downsample.0"):
        convolution = stage.get_submodule(path)
        if isinstance(convolution, nn.Conv2d):
            convolution.stride = (stride, stride)
