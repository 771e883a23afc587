"""The embedding networks of ZQPei/deep_sort_pytorch (deep_sort/deep), a tracker after Wojke et al. (ICIP 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.faces.shapes import count_of, shape_of


class TrackerBlock(nn.Module):
    """Two convolutions of three by three with batch norms beside an identity.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Of the first convolution.
        beside: Whether the identity is a convolution with batch norm.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, beside: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if beside:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, outputs, H / stride, W / stride)."""
        result = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))
        return F.relu(result + (maps if self.downsample is None else self.downsample(maps)))


class DeepSortNet(nn.Module):
    """The tracker's network: its present form ends in average pooling, its first form in a linear layer.

    Args:
        layers: Blocks of each stage.
        widths: Channels after the stem and of each stage.
        stem: Convolutions of the stem: one with ReLU (present form), two with ELU (first form).
        linear: Width of the linear layer (first form); 0 for average pooling.
        places: Places of the last map that the linear layer sees.
    """

    def __init__(
        self, layers: Sequence[int] = (2, 2, 2, 2), widths: Sequence[int] = (64, 64, 128, 256, 512), stem: int = 1,
        linear: int = 0, places: int = 128,
    ) -> None:  # fmt: skip
        super().__init__()
        act = nn.ReLU if stem == 1 else nn.ELU
        parts: list[nn.Module] = []
        for number in range(stem):
            convolution = nn.Conv2d(widths[0] if number else 3, widths[0], 3, padding=1)
            parts += [convolution, nn.BatchNorm2d(widths[0]), act()]
        self.conv = nn.Sequential(*parts, nn.MaxPool2d(3, 2, padding=1))
        self.stages = len(layers)
        for stage, blocks in enumerate(layers, start=1):
            first, width, stride = widths[stage - 1], widths[stage], 1 if stage == 1 else 2
            stack = [TrackerBlock(first, width, stride, beside=stride > 1 or first != width)]
            stack += [TrackerBlock(width, width, 1, beside=False) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(*stack))
        if linear:
            self.dense = nn.Sequential(nn.Identity(), nn.Linear(widths[-1] * places, linear))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads form, depths and widths."""
        first, second = shape_of(tensors, "conv.0.weight", 4), shape_of(tensors, "conv.3.weight", 4)
        layers = [count_of(tensors, f"layer{stage}.", ".conv1.weight") for stage in (1, 2, 3, 4)]
        layers = layers[: next((at for at, blocks in enumerate(layers) if not blocks), 4)]
        kernels = [shape_of(tensors, f"layer{stage}.0.conv1.weight", 4) for stage in range(1, len(layers) + 1)]
        if first is None or not layers or sum(layers) > 200 or None in kernels:
            return None
        widths = [first[0], *(kernel[0] for kernel in kernels if kernel is not None)]
        options: dict[str, object] = {"layers": layers, "widths": widths, "stem": 1 if second is None else 2}
        if "dense.1.weight" in tensors:
            linear = shape_of(tensors, "dense.1.weight", 2)
            if linear is None or linear[1] != widths[-1] * 128:  # 16 x 8 places of an image of 128 x 64
                return None
            options["linear"] = linear[0]
        return Structure(options)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, 128, 64) to the pooled map (N, D), or to what the linear layer makes of the whole map."""
        maps: torch.Tensor = self.conv(images)
        for stage in range(1, self.stages + 1):
            maps = getattr(self, f"layer{stage}")(maps)
        if hasattr(self, "dense"):
            result: torch.Tensor = self.dense(maps.flatten(1))
            return result
        return maps.mean(dim=(2, 3))
