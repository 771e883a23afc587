"""From a map to a vector."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Pool = Literal["avg", "max", "gem", "gem_fixed", "avg_max"]


class GeneralisedMean(nn.Module):
    """The p-th root of a map's mean p-th power (Radenovic et al., TPAMI 2019, eq. 3).

    Args:
        p: The exponent; its first value where it is learnt.
        learnt: Whether the exponent is a parameter of the network, named `p`.
    """

    def __init__(self, p: float = 3.0, *, learnt: bool = True) -> None:
        super().__init__()
        if learnt:
            self.p: float | nn.Parameter = nn.Parameter(torch.full((1,), p))
        else:
            self.p = p

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, 1, 1)."""
        return maps.clamp_min(1e-6).pow(self.p).mean(dim=(2, 3), keepdim=True).pow(1 / self.p)


class AverageAndMaximum(nn.Module):
    """The mean of a map plus its maximum."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, 1, 1)."""
        return maps.mean(dim=(2, 3), keepdim=True) + maps.amax(dim=(2, 3), keepdim=True)


def pool_of(kind: str) -> nn.Module:
    """Returns the layer that pools maps (N, C, H, W) to (N, C, 1, 1).

    Args:
        kind: A `Pool`.

    Raises:
        ValueError: There is no such pooling.
    """
    if kind == "avg":
        return nn.AdaptiveAvgPool2d(1)
    if kind == "max":
        return nn.AdaptiveMaxPool2d(1)
    if kind in {"gem", "gem_fixed"}:
        return GeneralisedMean(learnt=kind == "gem")
    if kind == "avg_max":
        return AverageAndMaximum()
    raise ValueError(f"pool is avg, max, gem, gem_fixed or avg_max, not {kind!r}")
