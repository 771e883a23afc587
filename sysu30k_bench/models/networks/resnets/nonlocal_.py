"""Non-local blocks."""

from __future__ import annotations

import torch
from torch import nn


class NonLocal(nn.Module):
    """Adds to each place a sum over all places, weighed by their dot products divided by their number.

    Wang et al., Non-local Neural Networks, CVPR 2018, eq. 4 and 6, with the names `theta`, `phi`, `g` and `W` of the
    paper. AGW (Ye et al., TPAMI 2021) has one inner channel.

    Args:
        features: Channels.
        inner: Channels of theta, phi and g.
    """

    def __init__(self, features: int, inner: int = 1) -> None:
        super().__init__()
        self.g = nn.Conv2d(features, inner, 1)
        self.W = nn.Sequential(nn.Conv2d(inner, features, 1), nn.BatchNorm2d(features))
        self.theta = nn.Conv2d(features, inner, 1)
        self.phi = nn.Conv2d(features, inner, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to the same shape."""
        query, key, value = (layer(maps).flatten(2) for layer in (self.theta, self.phi, self.g))
        # sum_j (q_i . k_j) v_j / n = q_i . (sum_j k_j v_j) / n
        context = key @ value.transpose(1, 2) / key.shape[2]
        gathered = (query.transpose(1, 2) @ context).transpose(1, 2)
        spread: torch.Tensor = self.W(gathered.unflatten(2, maps.shape[2:]))
        return maps + spread
