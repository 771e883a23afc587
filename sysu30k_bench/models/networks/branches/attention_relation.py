"""Relation-aware global attention (Zhang et al., CVPR 2020, sections 3.2 and 3.3).

Each position, then each channel, is weighed by its affinities to all others.
"""

from __future__ import annotations

import torch
from torch import nn


class RelationAttention(nn.Module):
    """One attention stage: over positions, over channels, or over both in that order.

    Tensors are named as in microsoft/Relation-Aware-Global-Attention-Networks: `theta`, `phi` embed a node for its
    affinities, `gx` embeds the node itself, `gg` its affinities, `W` makes the weight of both.

    Args:
        channels: Channels C of the map.
        positions: Positions P = H * W of the map; the affinities are stacked, so that the map's size is fixed.
        spatial: Whether positions are weighed.
        channel: Whether channels are weighed.
        ratio: Embeddings have C / ratio and P / ratio entries.
        down: The last reduction before the weight.
    """

    def __init__(
        self,
        channels: int,
        positions: int,
        *,
        spatial: bool = True,
        channel: bool = True,
        ratio: int = 8,
        down: int = 8,
    ) -> None:
        super().__init__()
        few, fewer = channels // ratio, positions // ratio
        if spatial:
            self.gx_spatial = _embedding(channels, few)
            self.gg_spatial = _embedding(2 * positions, fewer)
            self.W_spatial = _weight(1 + fewer, down)
            self.theta_spatial = _embedding(channels, few)
            self.phi_spatial = _embedding(channels, few)
        if channel:
            self.gx_channel = _embedding(positions, fewer)
            self.gg_channel = _embedding(2 * channels, few)
            self.W_channel = _weight(1 + few, down)
            self.theta_channel = _embedding(positions, fewer)
            self.phi_channel = _embedding(positions, fewer)
        self._spatial, self._channel = spatial, channel

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Weighs maps (N, C, H, W), H * W = P."""
        if self._spatial:
            maps = maps * self._weights("spatial", maps)
        if self._channel:
            # channels become the places of a C x 1 map, positions its channels
            turned = maps.flatten(2).transpose(1, 2).unsqueeze(3)
            maps = maps * self._weights("channel", turned).transpose(1, 2)
        return maps

    def _weights(self, kind: str, nodes: torch.Tensor) -> torch.Tensor:
        """Maps nodes (N, D, A, B), one for each of A * B places, to their weights (N, 1, A, B)."""
        layers = {name: self.get_submodule(f"{name}_{kind}") for name in ("theta", "phi", "gx", "gg", "W")}
        left, right = layers["theta"](nodes).flatten(2), layers["phi"](nodes).flatten(2)
        affinities = left.transpose(1, 2) @ right
        both = torch.cat([affinities.transpose(1, 2), affinities], dim=1)
        both = both.reshape(*both.shape[:2], *nodes.shape[2:])
        own = layers["gx"](nodes).mean(dim=1, keepdim=True)
        weights: torch.Tensor = layers["W"](torch.cat([own, layers["gg"](both)], dim=1)).sigmoid()
        return weights


def _embedding(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width_in, width_out, 1, bias=False), nn.BatchNorm2d(width_out), nn.ReLU())


def _weight(width: int, down: int) -> nn.Sequential:
    return nn.Sequential(
        *_embedding(width, width // down), nn.Conv2d(width // down, 1, 1, bias=False), nn.BatchNorm2d(1)
    )
