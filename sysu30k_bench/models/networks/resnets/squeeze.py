"""Squeeze and excitation (Hu et al., CVPR 2018) as its two public forms name it."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.ops import SqueezeExcitation


class LinearSqueeze(nn.Module):
    """Scales channels by a gate of two linear layers without bias, `fc.0` and `fc.2`.

    Args:
        features: Channels.
        inner: Channels between the two layers.
    """

    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(features, inner, bias=False), nn.ReLU(), nn.Linear(inner, features, bias=False), nn.Sigmoid()
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Scales maps (N, C, H, W)."""
        gate: torch.Tensor = self.fc(maps.mean(dim=(2, 3)))
        return maps * gate[:, :, None, None]


def squeeze_of(kind: str, features: int, inner: int) -> nn.Module:
    """Returns the layer: `conv` (1 x 1 convolutions `fc1`, `fc2` with bias) or `linear`.

    Raises:
        ValueError: There is no such kind.
    """
    if kind == "conv":
        squeeze: nn.Module = SqueezeExcitation(features, inner)
        return squeeze
    if kind == "linear":
        return LinearSqueeze(features, inner)
    raise ValueError(f"se is conv or linear, not {kind!r}")
