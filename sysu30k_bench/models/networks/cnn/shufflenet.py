"""ShuffleNet of both versions, of any width and depth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.reading import Tensors, count_of, demand, none_where_unfit, shape_of

_STAGES = ("stage2", "stage3", "stage4")


class ShuffleUnit(nn.Module):
    """Grouped pointwise layers with a shuffle between them; at stride 2 the pooled input is joined (figure 2)."""

    def __init__(self, width: int, out: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__()
        middle, added = out // 4, out - width if stride == 2 else out
        self.conv1 = nn.Conv2d(width, middle, 1, groups=first_groups, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.shuffle = nn.ChannelShuffle(groups)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, added, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(added)
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h / stride, w / stride)."""
        mapped = self.shuffle(torch.relu(self.bn1(self.conv1(features))))
        mapped = self.bn3(self.conv3(self.bn2(self.conv2(mapped))))
        if self.shortcut is not None:
            return torch.relu(torch.cat([self.shortcut(features), mapped], dim=1))
        return torch.relu(features + mapped)


class ShuffleNet(nn.Module):
    """ShuffleNet v1, the mean of its last map.

    Zhang et al., ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices (CVPR 2018),
    table 1; code: KaiyangZhou/deep-person-reid, `torchreid/models/shufflenet.py`.

    Args:
        stem: Channels of the first convolution.
        widths: Channels of each stage.
        depths: Units of each stage.
        groups: Of the pointwise convolutions, the first alone excepted.
    """

    def __init__(
        self,
        stem: int = 24,
        widths: Sequence[int] = (240, 480, 960),
        depths: Sequence[int] = (4, 8, 4),
        groups: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        before = stem
        for name, width, depth in zip(_STAGES, widths, depths, strict=True):
            stage = nn.Sequential(ShuffleUnit(before, width, 2, groups, 1 if name == _STAGES[0] else groups))
            for _ in range(depth - 1):
                stage.append(ShuffleUnit(width, width, 1, groups, groups))
            self.add_module(name, stage)
            before = width

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        stem = shape_of(tensors, "conv1.0.weight", 4)[0]
        widths = [shape_of(tensors, f"{stage}.1.conv3.weight", 4)[0] for stage in _STAGES]
        depths = [count_of(tensors, f"{stage}.{{}}.conv1.weight") for stage in _STAGES]
        middle = shape_of(tensors, "stage2.0.conv2.weight", 4)[0]
        groups = middle // shape_of(tensors, "stage2.0.conv3.weight", 4)[1]
        demand(groups > 0, all(width % (4 * groups) == 0 for width in widths), (widths[0] - stem) % groups == 0)
        demand(all(wide > narrow for narrow, wide in pairwise([stem, *widths])))
        return Structure({"stem": stem, "widths": widths, "depths": depths, "groups": groups})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        features = self.conv1(images)
        for name in _STAGES:
            features = self.get_submodule(name)(features)
        pooled: torch.Tensor = features.mean(dim=(2, 3))
        return pooled


class ShuffleNetV2(nn.Module):
    """torchvision's ShuffleNetV2, the mean of its last map.

    Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (ECCV 2018).

    Args:
        widths: Channels of the stem, of each stage and of the last convolution.
        depths: Units of each stage.
    """

    def __init__(self, widths: Sequence[int] = (24, 116, 232, 464, 1024), depths: Sequence[int] = (4, 8, 4)) -> None:
        super().__init__()
        network = models.ShuffleNetV2(list(depths), list(widths))
        for name, module in network.named_children():
            if name != "fc":
                self.add_module(name, module)

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        stages = [2 * shape_of(tensors, f"{stage}.0.branch2.5.weight", 4)[0] for stage in _STAGES]
        ends = [shape_of(tensors, f"{name}.0.weight", 4)[0] for name in ("conv1", "conv5")]
        depths = [count_of(tensors, f"{stage}.{{}}.branch2.0.weight") for stage in _STAGES]
        return Structure({"widths": [ends[0], *stages, ends[1]], "depths": depths})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        features = images
        for layer in self.children():
            features = layer(features)
        return features.mean(dim=(2, 3))
