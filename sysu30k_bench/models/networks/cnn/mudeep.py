"""MuDeep: streams of several scales, fused by learned weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.convblock import ConvBlock, Streams
from sysu30k_bench.models.networks.cnn.reading import (
    Tensors,
    embedding_layers,
    embedding_widths,
    none_where_unfit,
    shape_of,
)

_WIDTH = 256
_PLACES = 16 * 8


class Fusion(nn.Module):
    """The sum of four streams, each channel weighted, averaged over 4 x 4 (section 3.2)."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(1, 5):
            self.register_parameter(f"a{number}", nn.Parameter(torch.ones(1, _WIDTH, 1, 1)))
        self.avgpool = nn.AvgPool2d(4, stride=4)

    def forward(self, streams: list[torch.Tensor]) -> torch.Tensor:
        """Maps four maps (N, 256, h, w) to (N, 256, h / 4, w / 4)."""
        weighted = torch.stack([a * stream for a, stream in zip(self.parameters(), streams, strict=True)])
        fused: torch.Tensor = self.avgpool(weighted.sum(dim=0))
        return fused


class MuDeep(nn.Module):
    """MuDeep as torchreid tests it: the fused map, flattened, through the fully connected layer.

    Qian et al., Multi-scale Deep Learning Architectures for Person Re-identification (ICCV 2017); code:
    KaiyangZhou/deep-person-reid, `torchreid/models/mudeep.py`.

    Args:
        embedding: Widths of the fully connected layers.
    """

    def __init__(self, embedding: Sequence[int] = (4096,)) -> None:
        super().__init__()
        self.block1 = nn.Sequential()
        self.block1.add_module("conv1", ConvBlock(3, 48, 3))
        self.block1.add_module("conv2", ConvBlock(48, 96, 3))
        self.block1.add_module("maxpool", nn.MaxPool2d(3, stride=2, padding=1))
        self.block2 = Streams(
            nn.Sequential(ConvBlock(96, 96), ConvBlock(96, 24, 3)),
            nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), ConvBlock(96, 24)),
            ConvBlock(96, 24),
            nn.Sequential(ConvBlock(96, 16), ConvBlock(16, 24, 3), ConvBlock(24, 24, 3)),
        )
        self.block3 = Streams(
            nn.MaxPool2d(3, stride=2, padding=1),
            ConvBlock(96, 96, 3, stride=2),
            nn.Sequential(ConvBlock(96, 48), ConvBlock(48, 56, 3), ConvBlock(56, 64, 3, stride=2)),
        )
        flat, tall = (1, 3), (3, 1)
        self.block4 = Streams(
            nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), ConvBlock(256, 256)),
            nn.Sequential(ConvBlock(256, 64), ConvBlock(64, 128, flat), ConvBlock(128, 256, tall)),
            ConvBlock(256, 256),
            nn.Sequential(
                ConvBlock(256, 64),
                ConvBlock(64, 64, flat),
                ConvBlock(64, 128, tall),
                ConvBlock(128, 128, flat),
                ConvBlock(128, 256, tall),
            ),
        )
        self.block5 = Fusion()
        self.fc = embedding_layers(_WIDTH * _PLACES, list(embedding))

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        shape_of(tensors, "block5.a1", 4)
        return Structure({"embedding": embedding_widths(tensors)})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, 256, 128) to (N, D)."""
        streams = self.block4.each(self.block3(self.block2(self.block1(images))))
        features: torch.Tensor = self.fc(self.block5(streams).flatten(1))
        return features
