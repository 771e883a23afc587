"""A network of four convolutions, for drawn people and for tests: a second an epoch where a ResNet takes minutes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

WIDTHS = (24, 48, 96, 128)


class TinyNet(nn.Module):
    """Maps small images to 128 features.

    Args:
        norm: `batch`, or `group`, which does not depend on the batch.
    """

    def __init__(self, norm: Literal["batch", "group"] = "batch") -> None:
        super().__init__()
        self.tiny1 = _stage(3, WIDTHS[0], 2, norm)
        self.tiny2 = _stage(WIDTHS[0], WIDTHS[1], 2, norm)
        self.tiny3 = _stage(WIDTHS[1], WIDTHS[2], 2, norm)
        self.tiny4 = _stage(WIDTHS[2], WIDTHS[3], 1, norm)

    def low_level(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, 48, H / 4, W / 4)."""
        maps: torch.Tensor = self.tiny2(self.tiny1(images))
        return maps

    def high_level(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps what `low_level` gives to (N, 128)."""
        features: torch.Tensor = self.tiny4(self.tiny3(maps)).mean(dim=(2, 3))
        return features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch: (N, 3, H, W) to (N, 128)."""
        return self.high_level(self.low_level(images))


def _stage(before: int, width: int, stride: int, norm: str) -> nn.Sequential:
    layer = nn.BatchNorm2d(width) if norm == "batch" else nn.GroupNorm(8, width)
    return nn.Sequential(nn.Conv2d(before, width, 3, stride, 1, bias=False), layer, nn.ReLU())
