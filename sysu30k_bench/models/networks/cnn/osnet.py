"""OSNet, omni-scale networks of any width and depth, with instance norm where a file has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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

Norm = Literal["batch", "instance", "none"]
Place = Literal["none", "after", "inside"]
"""Where a block has instance norm: nowhere; after the shortcut is added (IBN); within the residual (AIN)."""


class ConvNorm(nn.Module):
    """A convolution without bias, its norm, and ReLU unless `linear`; tensors `conv` and `bn`."""

    def __init__(
        self,
        width: int,
        out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        padding: int = 0,
        norm: Norm = "batch",
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.Identity()
        if norm != "none":
            self.bn = nn.BatchNorm2d(out) if norm == "batch" else nn.InstanceNorm2d(out, affine=True)
        self.act: nn.Module = nn.Identity() if linear else nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h', w')."""
        mapped: torch.Tensor = self.act(self.bn(self.conv(features)))
        return mapped


class LightConv(nn.Module):
    """Lite 3 x 3: pointwise, then depthwise convolution, batch norm and ReLU (equation 2 and figure 3b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to the same shape."""
        return torch.relu(self.bn(self.conv2(self.conv1(features))))


class ChannelGate(nn.Module):
    """The aggregation gate: a weight in [0, 1] for each channel, from its spatial mean (section 3.2)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to the same shape."""
        hidden = torch.relu(self.fc1(features.mean(dim=(2, 3), keepdim=True)))
        return features * torch.sigmoid(self.fc2(hidden))


class OmniScaleBlock(nn.Module):
    """A residual block whose stream t sees through t lite convolutions; one gate serves all streams (figure 4).

    Args:
        width: Channels that come in.
        out: Channels that go out.
        middle: Channels of the streams.
        hidden: Channels within the gate.
        streams: Number T of streams.
        instance: Place of the instance norm.
    """

    def __init__(
        self, width: int, out: int, middle: int, hidden: int, streams: int = 4, instance: Place = "none"
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, middle)
        self.conv2 = nn.ModuleList(
            nn.Sequential(*(LightConv(middle) for _ in range(length))) for length in range(1, streams + 1)
        )
        self.gate = ChannelGate(middle, hidden)
        self.conv3 = ConvNorm(middle, out, norm="none" if instance == "inside" else "batch", linear=True)
        self.downsample: nn.Module = ConvNorm(width, out, linear=True) if width != out else nn.Identity()
        self.inside = instance == "inside"
        self.IN: nn.Module = nn.Identity() if instance == "none" else nn.InstanceNorm2d(out, affine=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h, w)."""
        reduced = self.conv1(features)
        residual = self.conv3(torch.stack([self.gate(stream(reduced)) for stream in self.conv2]).sum(dim=0))
        shortcut = self.downsample(features)
        summed = self.IN(residual) + shortcut if self.inside else self.IN(residual + shortcut)
        return torch.relu(summed)


def halving(width: int) -> nn.Sequential:
    """What lies between two stages: a pointwise layer and 2 x 2 average pooling."""
    return nn.Sequential(ConvNorm(width, width), nn.AvgPool2d(2, stride=2))


class OSNetTrunk(nn.Module):
    """OSNet's convolutions: stem, three stages, two halvings between them, and a pointwise layer (table 1).

    Args:
        widths: Channels of the stem and of each stage.
        instance: For each stage, for each of its blocks, the place of its instance norm.
        reduction: A block's width over that of its streams.
        gate_reduction: A stream's width over that within the gate.
        streams: Number of streams of a block.
        stem_norm: Norm behind the first convolution.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 256, 384, 512),
        instance: Sequence[Sequence[Place]] = (("none", "none"),) * 3,
        reduction: int = 4,
        gate_reduction: int = 16,
        streams: int = 4,
        stem_norm: Norm = "batch",
    ) -> None:
        super().__init__()
        stem, second, third, fourth = widths

        def stage(width: int, out: int, places: Sequence[Place]) -> nn.Sequential:
            middle = out // reduction
            ends = [width] + [out] * len(places)
            blocks = (
                OmniScaleBlock(start, out, middle, middle // gate_reduction, streams, place)
                for start, place in zip(ends, places, strict=False)
            )
            return nn.Sequential(*blocks)

        self.conv1 = ConvNorm(3, stem, 7, stride=2, padding=3, norm=stem_norm)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = stage(stem, second, instance[0])
        self.pool2 = halving(second)
        self.conv3 = stage(second, third, instance[1])
        self.pool3 = halving(third)
        self.conv4 = stage(third, fourth, instance[2])
        self.conv5 = ConvNorm(fourth, fourth)
        self.width = fourth

    @staticmethod
    def options(tensors: Tensors) -> dict[str, object]:
        """Reads the trunk's options off tensors that have its names.

        Raises:
            ValueError: They are not OSNet's.
        """
        stem = shape_of(tensors, "conv1.conv.weight", 4)[0]
        widths, instance = [stem], []
        for stage in ("conv2", "conv3", "conv4"):
            blocks = count_of(tensors, f"{stage}.{{}}.conv1.conv.weight")
            widths.append(shape_of(tensors, f"{stage}.0.conv3.conv.weight", 4)[0])
            instance.append([_place(tensors, f"{stage}.{i}.") for i in range(blocks)])
        middle = shape_of(tensors, "conv2.0.conv1.conv.weight", 4)[0]
        hidden = shape_of(tensors, "conv2.0.gate.fc1.weight", 4)[0]
        streams = count_of(tensors, "conv2.0.conv2.{}.0.conv1.weight")
        demand(widths[1] >= middle >= hidden, streams > 0, all(instance))
        demand(min(widths[1:]) >= (widths[1] // middle) * (middle // hidden))
        return {
            "widths": widths,
            "instance": instance,
            "reduction": widths[1] // middle,
            "gate_reduction": middle // hidden,
            "streams": streams,
            "stem_norm": "batch" if "conv1.bn.running_mean" in tensors else "instance",
        }

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, D, H / 16, W / 16)."""
        features = self.conv2(self.maxpool(self.conv1(images)))
        features = self.conv3(self.pool2(features))
        features = self.conv4(self.pool3(features))
        last: torch.Tensor = self.conv5(features)
        return last


def _place(tensors: Tensors, block: str) -> Place:
    if block + "IN.weight" not in tensors:
        return "none"
    return "after" if block + "conv3.bn.weight" in tensors else "inside"


class OSNet(OSNetTrunk):
    """OSNet as torchreid tests it: the mean of the last map, then Linear, batch norm and ReLU.

    Zhou et al., Omni-Scale Feature Learning for Person Re-Identification (ICCV 2019); with instance norm: Zhou et al.,
    Learning Generalisable Omni-Scale Representations for Person Re-Identification (TPAMI 2021). Code:
    KaiyangZhou/deep-person-reid, `torchreid/models/osnet.py` and `osnet_ain.py`.

    Args:
        widths: As in `OSNetTrunk`.
        instance: As in `OSNetTrunk`.
        reduction: As in `OSNetTrunk`.
        gate_reduction: As in `OSNetTrunk`.
        streams: As in `OSNetTrunk`.
        stem_norm: As in `OSNetTrunk`.
        embedding: Widths of the fully connected layers; none where empty.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 256, 384, 512),
        instance: Sequence[Sequence[Place]] = (("none", "none"),) * 3,
        reduction: int = 4,
        gate_reduction: int = 16,
        streams: int = 4,
        stem_norm: Norm = "batch",
        embedding: Sequence[int] = (512,),
    ) -> None:
        super().__init__(widths, instance, reduction, gate_reduction, streams, stem_norm)
        self.fc = embedding_layers(self.width, list(embedding))

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        return Structure({**OSNet.options(tensors), "embedding": embedding_widths(tensors)})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        features: torch.Tensor = self.fc(super().forward(images).mean(dim=(2, 3)))
        return features
