"""insightface's ResNet for faces (ArcFace: Deng et al., CVPR 2019, section 3.1; recognition/arcface_torch)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.faces.shapes import count_of, shape_of

STEP = 16
"""Pixels from one place of the last map to the next."""


class FaceBlock(nn.Module):
    """Batch norm, convolution, batch norm, PReLU, strided convolution and batch norm, with nothing after the sum.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Of the second convolution.
        beside: Whether the identity is a convolution with batch norm.
        eps: Of all batch norms.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, beside: bool, eps: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps)
        self.downsample: nn.Module | None = None
        if beside:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, outputs, H / stride, W / stride)."""
        result: torch.Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(maps))))))
        return result + (maps if self.downsample is None else self.downsample(maps))


class IResNet(nn.Module):
    """The network, with its linear layer and last batch norm.

    Args:
        layers: Blocks of the four stages.
        widths: Channels after the stem and of the four stages.
        rows: Of the last map.
        columns: Of the last map.
        output: Width of the embedding.
        eps: Of the batch norms.
    """

    def __init__(
        self, layers: Sequence[int] = (2, 2, 2, 2), widths: Sequence[int] = (64, 64, 128, 256, 512), rows: int = 7,
        columns: int = 7, output: int = 512, eps: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0], eps)
        self.prelu = nn.PReLU(widths[0])
        for stage, blocks in enumerate(layers, start=1):
            first, width = widths[stage - 1], widths[stage]
            stack = [FaceBlock(first, width, 2, beside=True, eps=eps)]
            stack += [FaceBlock(width, width, 1, beside=False, eps=eps) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(*stack))
        self.bn2 = nn.BatchNorm2d(widths[-1], eps)
        self.fc = nn.Linear(widths[-1] * rows * columns, output)
        self.features = nn.BatchNorm1d(output, eps)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads depths, widths and, off the linear layer, the size of the image."""
        stem, linear = shape_of(tensors, "conv1.weight", 4), shape_of(tensors, "fc.weight", 2)
        layers = [count_of(tensors, f"layer{stage}.", ".prelu.weight") for stage in (1, 2, 3, 4)]
        kernels = [shape_of(tensors, f"layer{stage}.0.conv1.weight", 4) for stage in (1, 2, 3, 4)]
        if stem is None or linear is None or not all(layers) or sum(layers) > 2000:
            return None
        widths = [stem[0], *(kernel[0] for kernel in kernels if kernel is not None)]
        if len(widths) != 5 or linear[1] % widths[-1]:
            return None
        places = linear[1] // widths[-1]
        rows = math.isqrt(places)
        columns = rows
        if rows * columns != places:  # a person, twice as high as wide
            columns = math.isqrt(places // 2)
            rows = 2 * columns
        if not rows or rows * columns != places:
            return None
        options = {"layers": layers, "widths": widths, "rows": rows, "columns": columns, "output": linear[0]}
        return Structure(options, {"height": rows * STEP, "width": columns * STEP})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the embedding, (N, output)."""
        maps = self.prelu(self.bn1(self.conv1(images)))
        for stage in (1, 2, 3, 4):
            maps = getattr(self, f"layer{stage}")(maps)
        result: torch.Tensor = self.features(self.fc(self.bn2(maps).flatten(1)))
        return result
