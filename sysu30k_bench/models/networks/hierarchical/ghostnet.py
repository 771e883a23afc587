"""GhostNet of any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.repvit import SqueezeExcite
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of


def _conv(before: int, after: int, kernel: int, groups: int = 1, *, rectified: bool) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU() if rectified else nn.Identity())


class _Ghost(nn.Module):
    """Half of the channels by a convolution, the others by a cheap one from these (section 3.1)."""

    def __init__(self, before: int, after: int, *, rectified: bool) -> None:
        super().__init__()
        self.after = after
        half = (after + 1) // 2
        self.primary_conv = _conv(before, half, 1, rectified=rectified)
        self.cheap_operation = _conv(half, half, 3, half, rectified=rectified)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', H, W)."""
        primary = self.primary_conv(maps)
        return torch.cat((primary, self.cheap_operation(primary)), dim=1)[:, : self.after]


class _Bottleneck(nn.Module):
    def __init__(self, before: int, middle: int, after: int, squeezed: int, kernel: int, shortcut: int) -> None:
        super().__init__()
        self.ghost1 = _Ghost(before, middle, rectified=True)
        stride = 2 if kernel else 1
        if kernel:
            self.conv_dw = nn.Conv2d(middle, middle, kernel, 2, kernel // 2, groups=middle, bias=False)
            self.bn_dw = nn.BatchNorm2d(middle)
        if squeezed:
            self.se = SqueezeExcite(middle, squeezed)
        self.ghost2 = _Ghost(middle, after, rectified=False)
        if shortcut:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, before, shortcut, stride, shortcut // 2, groups=before, bias=False),
                nn.BatchNorm2d(before),
                nn.Conv2d(before, after, 1, bias=False),
                nn.BatchNorm2d(after),
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', h, w)."""
        mixed = self.ghost1(maps)
        if hasattr(self, "conv_dw"):
            mixed = self.bn_dw(self.conv_dw(mixed))
        if hasattr(self, "se"):
            mixed = self.se(mixed)
        mixed = self.ghost2(mixed)
        added: torch.Tensor = mixed + (self.shortcut(maps) if hasattr(self, "shortcut") else maps)
        return added


class _ConvAct(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', H, W)."""
        rectified: torch.Tensor = self.bn1(self.conv(maps)).relu()
        return rectified


class GhostNet(nn.Module):
    """GhostNet (https://arxiv.org/abs/1911.11907, table 1): the pooled map after its last 1 x 1 convolution.

    Args:
        stem: Channels after the first convolution.
        stages: For each block of each stage its channels in (`before`), within (`middle`) and out (`after`), those of
            its squeeze (`squeezed`, 0 for none), and the kernels of its strided convolution (`kernel`, 0 where the
            map keeps its size) and of its shortcut (`shortcut`, 0 where the input itself is added).
        last: Channels of the last convolution of the map.
        width: Channels of the feature.
    """

    def __init__(
        self,
        stem: int = 16,
        stages: Sequence[Sequence[Mapping[str, int]]] = (
            ({"before": 16, "middle": 16, "after": 16, "squeezed": 0, "kernel": 0, "shortcut": 0},),
        ),
        last: int = 960,
        width: int = 1280,
    ) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        built = [nn.Sequential(*(_Bottleneck(**block) for block in blocks)) for blocks in stages]
        self.blocks = nn.Sequential(*built, nn.Sequential(_ConvAct(stages[-1][-1]["after"], last)))
        self.conv_head = nn.Conv2d(last, width, 1)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads each block's sizes.

        Args:
            tensors: The file's tensors by the names of GhostNet's own code (and of timm).

        Returns:
            The options; None where the tensors are no GhostNet's.
        """
        stem = shape_of(tensors, "conv_stem.weight", 4)
        width, last, _, _ = shape_of(tensors, "conv_head.weight", 4)
        count = count_of(tensors, r"blocks\.(\d+)\.0\..*", 32)
        stages: list[list[dict[str, int]]] = []
        for stage in range(count - 1):
            depth = count_of(tensors, rf"blocks\.{stage}\.(\d+)\.ghost1\.primary_conv\.0\.weight")
            stages.append([_described(tensors, f"blocks.{stage}.{block}.") for block in range(depth)])
        out = shape_of(tensors, f"blocks.{count - 1}.0.conv.weight", 4)[1]
        blocks = [block for stage in stages for block in stage]
        if not blocks:
            return None
        for block, following in zip(blocks, [*(item["before"] for item in blocks[1:]), out], strict=True):
            block["after"] = following
        whole = all(stages) and all(min(block["before"], block["middle"], block["after"]) > 0 for block in blocks)
        if not whole or stem[1:] != (3, 3, 3) or width == 0:
            return None
        return Structure({"stem": stem[0], "stages": stages, "last": last, "width": width})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        maps = self.blocks(self.bn1(self.conv_stem(images)).relu())
        feature: torch.Tensor = self.conv_head(maps.mean(dim=(2, 3), keepdim=True)).relu().flatten(1)
        return feature


def _described(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, int]:
    return {
        "before": shape_of(tensors, prefix + "ghost1.primary_conv.0.weight", 4)[1],
        "middle": shape_of(tensors, prefix + "ghost2.primary_conv.0.weight", 4)[1],
        "after": 0,
        "squeezed": shape_of(tensors, prefix + "se.conv_reduce.weight", 4)[0],
        "kernel": shape_of(tensors, prefix + "conv_dw.weight", 4)[2],
        "shortcut": shape_of(tensors, prefix + "shortcut.0.weight", 4)[2],
    }
