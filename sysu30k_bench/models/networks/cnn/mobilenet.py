"""MobileNetV2 by torchreid's names, of any width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.reading import (
    Tensors,
    count_of,
    demand,
    embedding_layers,
    embedding_widths,
    none_where_unfit,
    shape_of,
)

_STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of each stage's first block (table 2)."""


class ConvReLU6(nn.Module):
    """A convolution without bias, batch norm and ReLU6; tensors `conv` and `bn`."""

    def __init__(self, width: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h / stride, w / stride)."""
        return nn.functional.relu6(self.bn(self.conv(features)))


class InvertedResidual(nn.Module):
    """Widens, filters each channel, and narrows again without a non-linearity."""

    def __init__(self, width: int, middle: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvReLU6(width, middle)
        self.dwconv2 = ConvReLU6(middle, middle, 3, stride, groups=middle)
        self.conv3 = nn.Sequential(nn.Conv2d(middle, out, 1, bias=False), nn.BatchNorm2d(out))
        self.residual = stride == 1 and width == out

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h / stride, w / stride)."""
        mapped: torch.Tensor = self.conv3(self.dwconv2(self.conv1(features)))
        return features + mapped if self.residual else mapped


class MobileNetV2(nn.Module):
    """MobileNetV2; unlike torchvision's, its first block widens by a factor of 1 with a layer of its own.

    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (CVPR 2018); code:
    KaiyangZhou/deep-person-reid, `torchreid/models/mobilenetv2.py`.

    Args:
        stem: Channels of the first convolution.
        stages: For each stage, for each of its blocks, the channels within and behind it.
        top: Channels of the last convolution.
        embedding: Widths of fully connected layers behind the pooling; none where empty.
    """

    def __init__(
        self,
        stem: int = 32,
        stages: Sequence[Sequence[Sequence[int]]] = (
            ((32, 16),),
            ((96, 24), (144, 24)),
            ((144, 32), (192, 32), (192, 32)),
            ((192, 64), (384, 64), (384, 64), (384, 64)),
            ((384, 96), (576, 96), (576, 96)),
            ((576, 160), (960, 160), (960, 160)),
            ((960, 320),),
        ),
        top: int = 1280,
        embedding: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(ConvReLU6(3, stem, 3, stride=2))
        width = stem
        for blocks, stride in zip(stages, _STRIDES, strict=True):
            stage = nn.Sequential()
            for i, (middle, out) in enumerate(blocks):
                stage.append(InvertedResidual(width, middle, out, stride if i == 0 else 1))
                width = out
            self.trunk.append(stage)
        self.trunk.append(ConvReLU6(width, top))
        self.fc = embedding_layers(top, list(embedding))

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        stages = []
        for i in range(1, len(_STRIDES) + 1):
            last = f"trunk.{i}.{{}}.conv3.0.weight"
            shapes = [shape_of(tensors, last.format(block), 4) for block in range(count_of(tensors, last))]
            demand(bool(shapes))
            stages.append([[middle, out] for out, middle, *_ in shapes])
        return Structure(
            {
                "stem": shape_of(tensors, "trunk.0.conv.weight", 4)[0],
                "stages": stages,
                "top": shape_of(tensors, f"trunk.{len(_STRIDES) + 1}.conv.weight", 4)[0],
                "embedding": embedding_widths(tensors),
            }
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        features: torch.Tensor = self.fc(self.trunk(images).mean(dim=(2, 3)))
        return features
