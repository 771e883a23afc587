"""Normalisation that joins instance and batch statistics."""

from __future__ import annotations

import torch
from torch import nn


class InstanceBatchNorm(nn.Module):
    """Instance norm on the first half of the channels, batch norm on the rest: IBN-a (Pan et al., ECCV 2018, fig. 3).

    Args:
        features: Channels.
        instance: How many of them get instance norm; half where not given.
    """

    def __init__(self, features: int, instance: int | None = None) -> None:
        super().__init__()
        self.split = features // 2 if instance is None else instance
        self.IN = nn.InstanceNorm2d(self.split, affine=True)
        self.BN = nn.BatchNorm2d(features - self.split)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalises maps (N, C, H, W)."""
        return torch.cat([self.IN(maps[:, : self.split]), self.BN(maps[:, self.split :])], dim=1)
