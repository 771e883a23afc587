"""CLIP's ResNet: blurred strides and pooling by attention (Radford et al., ICML 2021, section 2.4)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from sysu30k_bench.models.networks.clip.grid import fitted_positions

EXPANSION = 4


class Bottleneck(nn.Module):
    """Three convolutions of stride 1; where the stage shrinks the map, an average pool stands before the last.

    Args:
        inputs: Channels of the input.
        width: Channels within.
        stride: Of the average pools.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shrink = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            parts = [
                ("shrink", nn.AvgPool2d(stride)),
                ("0", nn.Conv2d(inputs, outputs, 1, bias=False)),
                ("1", nn.BatchNorm2d(outputs)),
            ]
            self.downsample = nn.Sequential(OrderedDict(parts))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, 4 * width, H / stride, W / stride)."""
        beside = maps if self.downsample is None else self.downsample(maps)
        maps = F.relu(self.bn1(self.conv1(maps)))
        maps = self.shrink(F.relu(self.bn2(self.conv2(maps))))
        return F.relu(self.bn3(self.conv3(maps)) + beside)


class AttentionPool(nn.Module):
    """The mean of all places looks at all places once.

    Args:
        width: Channels of the map.
        heads: Of the attention.
        output: Width of the result.
        rows: Of the grid of positions.
        columns: Of the grid of positions.
    """

    def __init__(self, width: int, heads: int, output: int, rows: int, columns: int) -> None:
        super().__init__()
        self.heads, self.grid = heads, (rows, columns)
        self.positional_embedding = nn.Parameter(torch.empty(rows * columns + 1, width))
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, output)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, output)."""
        positions = fitted_positions(self.positional_embedding, self.grid, (maps.shape[2], maps.shape[3]))
        places = maps.flatten(2).transpose(1, 2)
        places = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1) + positions
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.q_proj(places[:, :1]), self.k_proj(places), self.v_proj(places))
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        result: torch.Tensor = self.c_proj(seen.transpose(1, 2).flatten(1))
        return result


class ModifiedResNet(nn.Module):
    """The ResNet as a vision tower.

    Args:
        layers: Blocks of the four stages.
        width: Channels after the stem.
        output: Width of the embedding.
        rows: Of the grid of positions.
        columns: Of the grid of positions.
        last_stride: Of the last stage; CLIP-ReID sets 1.
    """

    def __init__(
        self, layers: Sequence[int], width: int, output: int, rows: int, columns: int, last_stride: int = 2
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        inputs = width
        for stage, (blocks, stride) in enumerate(zip(layers, (1, 2, 2, last_stride), strict=True)):
            inside = width << stage
            stack = [
                Bottleneck(inputs if k == 0 else inside * EXPANSION, inside, stride if k == 0 else 1)
                for k in range(blocks)
            ]
            inputs = inside * EXPANSION
            setattr(self, f"layer{stage + 1}", nn.Sequential(*stack))
        self.width = inputs
        self.attnpool = AttentionPool(inputs, inputs // 64, output, rows, columns)

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the last stage's (N, 32 * width, rows, columns)."""
        for number in (1, 2, 3):
            norm, convolution = getattr(self, f"bn{number}"), getattr(self, f"conv{number}")
            images = F.relu(norm(convolution(images)))
        images = F.avg_pool2d(images, 2)
        for number in (1, 2, 3, 4):
            images = getattr(self, f"layer{number}")(images)
        return images

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the image embedding."""
        result: torch.Tensor = self.attnpool(self.maps(images))
        return result
