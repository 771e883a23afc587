"""ConvNeXt of any depth and width."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of

_EPS = 1e-6


class MapNorm(nn.LayerNorm):
    """Layer normalisation over the channels of a map (N, C, H, W)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer normalisation and two linear layers, scaled and added to the input.

    Args:
        width: Channels C.
        kernel: Side of the depthwise convolution.
        expansion: Channels between the linear layers, in multiples of C.
        scaled: Whether a learned scale per channel (gamma) is applied.
    """

    gamma: torch.Tensor | None

    def __init__(self, width: int, kernel: int = 7, expansion: int = 4, *, scaled: bool = True) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.pwconv1 = nn.Linear(width, expansion * width)
        self.pwconv2 = nn.Linear(expansion * width, width)
        self.gamma = nn.Parameter(torch.ones(width)) if scaled else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        grid = self.norm(self.dwconv(maps).permute(0, 2, 3, 1))
        grid = self.pwconv2(functional.gelu(self.pwconv1(grid)))
        if self.gamma is not None:
            grid = self.gamma * grid
        added: torch.Tensor = maps + grid.permute(0, 3, 1, 2)
        return added


def downsampling(widths: Sequence[int]) -> nn.ModuleList:
    """Builds the stem (4 x 4 patches) and the halvings between stages, for stages of these widths."""
    stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), MapNorm(widths[0], eps=_EPS))
    halvings = [
        nn.Sequential(MapNorm(before, eps=_EPS), nn.Conv2d(before, after, 2, 2)) for before, after in pairwise(widths)
    ]
    return nn.ModuleList([stem, *halvings])


class ConvNeXt(nn.Module):
    """ConvNeXt (https://arxiv.org/abs/2201.03545, section 2 and appendix A.4): pooled, then normalised.

    Args:
        widths: Channels of each stage.
        depths: Blocks in each stage.
        kernel: Side of the depthwise convolutions.
        scaled: Whether the blocks have a learned scale.
        final_norm: Whether the pooled feature is normalised; without, it is the mean of the last map.
    """

    def __init__(
        self,
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (3, 3, 9, 3),
        kernel: int = 7,
        scaled: bool = True,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.downsample_layers = downsampling(widths)
        self.stages = nn.ModuleList(
            [
                nn.Sequential(*(ConvNeXtBlock(width, kernel, scaled=scaled) for _ in range(depth)))
                for width, depth in zip(widths, depths, strict=True)
            ]
        )
        self.norm = nn.LayerNorm(widths[-1], eps=_EPS) if final_norm else nn.Identity()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads widths, depths, kernel, scale and final normalisation.

        Args:
            tensors: The file's tensors by the names of the paper's own code.

        Returns:
            The options; None where the tensors are no ConvNeXt's.
        """
        stages = count_of(tensors, r"stages\.(\d+)\.0\.dwconv\.weight", 8)
        if stages < 2 or any(re.fullmatch(r"stages\..*\.(grn|xca|convs)\..*", name) for name in tensors):
            return None
        depths = [count_of(tensors, rf"stages\.{stage}\.(\d+)\.dwconv\.weight") for stage in range(stages)]
        first = [shape_of(tensors, f"stages.{stage}.0.dwconv.weight", 4) for stage in range(stages)]
        if 0 in depths or any(width == 0 or one != 1 or high != wide for width, one, high, wide in first):
            return None
        options: dict[str, object] = {
            "widths": [shape[0] for shape in first],
            "depths": depths,
            "kernel": first[0][2],
            "scaled": "stages.0.0.gamma" in tensors,
            "final_norm": "norm.weight" in tensors,
        }
        return Structure(options) if shape_of(tensors, "downsample_layers.0.0.weight", 4)[1:] == (3, 4, 4) else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        maps = images
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            maps = stage(downsample(maps))
        pooled: torch.Tensor = self.norm(maps.mean(dim=(2, 3)))
        return pooled
