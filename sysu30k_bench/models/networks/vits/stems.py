"""How a vision transformer cuts an image into patches: one convolution, or a few before it."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import nn

Stem = Literal["patch", "ics", "conv"]

_ICS_WIDTH = 64
_CONV_STAGES = 4


class PatchEmbed(nn.Module):
    """Patches by one convolution, or by it behind TransReID-SSL's stem.

    Args:
        dim: Width of the tokens.
        patch: Side of a patch, in pixels.
        stride: From patch to patch; below `patch`, patches overlap (He et al., TransReID, ICCV 2021, 3.1).
        ics: Whether three convolutions with IBN stand before (Luo et al., Self-Supervised Pre-Training for
            Transformer-Based Person Re-Identification, 2021, 4.3; damo-cv/TransReID-SSL). They halve the image.
    """

    def __init__(self, dim: int, patch: int, stride: int, ics: bool = False) -> None:
        super().__init__()
        self.conv: nn.Module = _ics_stem() if ics else nn.Identity()
        channels, shrink = (_ICS_WIDTH, 2) if ics else (3, 1)
        self.proj = nn.Conv2d(channels, dim, patch // shrink, stride // shrink)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to a map of patches, (N, D, rows, columns)."""
        output: torch.Tensor = self.proj(self.conv(images))
        return output


class ConvStem(nn.Module):
    """Four strided convolutions and one over single cells (Xiao et al., Early Convolutions, 2021; moco-v3's vits.py).

    Args:
        dim: Width of the tokens; the first convolution has an eighth of it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        widths = [3, *(dim // 2 ** (_CONV_STAGES - 1 - stage) for stage in range(_CONV_STAGES))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.proj = nn.Sequential(*layers, nn.Conv2d(dim, dim, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to a map of patches, (N, D, H / 16, W / 16)."""
        output: torch.Tensor = self.proj(images)
        return output


class InstanceBatchNorm(nn.Module):
    """Instance norm for the first half of the channels, batch norm for the rest (Pan et al., IBN-Net, ECCV 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.IN = nn.InstanceNorm2d(half, affine=True)
        self.BN = nn.BatchNorm2d(channels - half)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to the same shape."""
        half = self.IN.num_features
        return torch.cat((self.IN(maps[:, :half]), self.BN(maps[:, half:])), dim=1)


def _ics_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, _ICS_WIDTH, 7, 2, 3, bias=False),
        InstanceBatchNorm(_ICS_WIDTH),
        nn.ReLU(inplace=True),
        nn.Conv2d(_ICS_WIDTH, _ICS_WIDTH, 3, 1, 1, bias=False),
        InstanceBatchNorm(_ICS_WIDTH),
        nn.ReLU(inplace=True),
        nn.Conv2d(_ICS_WIDTH, _ICS_WIDTH, 3, 1, 1, bias=False),
        nn.BatchNorm2d(_ICS_WIDTH),
        nn.ReLU(inplace=True),
    )
