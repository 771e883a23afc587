"""RepVGG (Ding et al., CVPR 2021) with its three branches or fused, in the names that fast-reid gives it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import nn


class RepBlock(nn.Module):
    """A 3 x 3 and a 1 x 1 convolution and a batch norm alone, summed (figure 4); or one convolution, `fused`.

    Args:
        features: Channels that come in.
        out: Channels that go out.
        stride: Of the block.
        groups: Of its convolutions.
        fused: Whether the branches were joined.
    """

    def __init__(self, features: int, out: int, stride: int, groups: int, *, fused: bool) -> None:
        super().__init__()
        self.stride, self.groups, self.fused = stride, groups, fused
        if fused:
            self.fused_weight = nn.Parameter(torch.zeros(out, features // groups, 3, 3))
            self.fused_bias = nn.Parameter(torch.zeros(out))
            return
        self.rbr_dense = _normed(nn.Conv2d(features, out, 3, stride, 1, groups=groups, bias=False))
        self.rbr_1x1 = _normed(nn.Conv2d(features, out, 1, stride, 0, groups=groups, bias=False))
        if features == out and stride == 1:
            self.rbr_identity = nn.BatchNorm2d(features)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        if self.fused:
            fused = nn.functional.conv2d(
                maps, self.fused_weight, self.fused_bias, self.stride, padding=1, groups=self.groups
            )
            return torch.relu(fused)
        summed = self.rbr_dense(maps) + self.rbr_1x1(maps)
        if hasattr(self, "rbr_identity"):
            summed = summed + self.rbr_identity(maps)
        return torch.relu(summed)


class RepVGG(nn.Module):
    """A stem and four stages.

    Args:
        stem: Channels of the first block.
        blocks: How many in each stage.
        outputs: Channels of each stage.
        groups: Groups of each block, the stem first; all 1 where empty.
        last_stride: Of the last stage.
        fused: Whether each block is one convolution.
    """

    def __init__(
        self,
        stem: int = 48,
        blocks: Sequence[int] = (2, 4, 14, 1),
        outputs: Sequence[int] = (48, 96, 192, 1280),
        groups: Sequence[int] = (),
        last_stride: int = 2,
        *,
        fused: bool = False,
    ) -> None:
        super().__init__()
        parts = iter(groups or [1] * (1 + sum(blocks)))
        self.stage0 = RepBlock(3, stem, 2, next(parts), fused=fused)
        entered = stem
        for stage, (count, out) in enumerate(zip(blocks, outputs, strict=True), start=1):
            layers = []
            for number in range(count):
                stride = 1 if number else last_stride if stage == len(blocks) else 2
                layers.append(RepBlock(entered, out, stride, next(parts), fused=fused))
                entered = out
            self.add_module(f"stage{stage}", nn.Sequential(*layers))
        self.stages = len(blocks)
        self.width = entered

    @staticmethod
    def options(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
        """Reads the options off tensors by these names; None where they are another network's."""
        fused = "stage0.fused_weight" in tensors
        leaf = "fused_weight" if fused else "rbr_dense.conv.weight"
        if f"stage0.{leaf}" not in tensors:
            return None
        entered = int(tensors[f"stage0.{leaf}"].shape[0])
        stem, groups = entered, [1]
        blocks: list[int] = []
        outputs: list[int] = []
        while f"stage{len(blocks) + 1}.0.{leaf}" in tensors:
            stage, number = len(blocks) + 1, 0
            while (weight := tensors.get(f"stage{stage}.{number}.{leaf}")) is not None:
                groups.append(entered // int(weight.shape[1]))
                entered, number = int(weight.shape[0]), number + 1
            blocks.append(number)
            outputs.append(entered)
        return {"stem": stem, "blocks": blocks, "outputs": outputs, "groups": groups, "fused": fused}

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, C, H / 16, W / 16), or H / 32 where the last stride is 2."""
        maps: torch.Tensor = self.stage0(images)
        for stage in range(1, self.stages + 1):
            maps = self.get_submodule(f"stage{stage}")(maps)
        return maps


def _normed(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=convolution, bn=nn.BatchNorm2d(convolution.out_channels)))
