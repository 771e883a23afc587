"""Attention of channels and of positions.

Fu et al., Dual Attention Network, CVPR 2019, sections 3.2 and 3.3, as ABD-Net uses it (Chen et al., ABD-Net: Attentive
but Diverse Person Re-Identification, ICCV 2019, section 3.1).
"""

from __future__ import annotations

import torch
from torch import nn


class ChannelAttention(nn.Module):
    """Adds to each channel those that are least like it: x + gamma * softmax(max(X X^T) - X X^T) X."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to the same shape."""
        rows = maps.flatten(2)
        likeness = rows @ rows.transpose(1, 2)
        share = (likeness.amax(dim=2, keepdim=True) - likeness).softmax(dim=2)
        return self.gamma * (share @ rows).view_as(maps) + maps


class PositionAttention(nn.Module):
    """Adds to each position a mean of all positions, weighed by query and key.

    Args:
        channels: Channels C; queries and keys have C / 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 8, 1)
        self.key_conv = nn.Conv2d(channels, channels // 8, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to the same shape."""
        query, key, value = (layer(maps).flatten(2) for layer in (self.query_conv, self.key_conv, self.value_conv))
        share = (query.transpose(1, 2) @ key).softmax(dim=2)
        gathered: torch.Tensor = value @ share.transpose(1, 2)
        return self.gamma * gathered.view_as(maps) + maps


class AttentionHead(nn.Module):
    """An attention between two convolutions of half the channels, and one back to all.

    Args:
        channels: Channels of the map.
        kind: `cam` for channels, `pam` for positions, `identity` for none.
        width_out: Channels of the result; those of the map where None.
    """

    def __init__(self, channels: int, kind: str = "identity", width_out: int | None = None) -> None:
        super().__init__()
        half = channels // 2
        self.conv5c = _convolution(channels, half)
        self.attention_module = attention(half, kind)
        self.conv52 = _convolution(half, half)
        self.conv7 = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(half, width_out or channels, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, width_out, H, W)."""
        result: torch.Tensor = self.conv7(self.conv52(self.attention_module(self.conv5c(maps))))
        return result


def attention(channels: int, kind: str) -> nn.Module:
    """Builds the attention `cam`, `pam` or `identity` over maps of so many channels.

    Raises:
        ValueError: There is no such attention.
    """
    if kind == "identity":
        return nn.Identity()
    if kind == "cam":
        return ChannelAttention()
    if kind == "pam":
        return PositionAttention(channels)
    raise ValueError(f"an attention is cam, pam or identity, not {kind!r}")


def _convolution(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width_in, width_out, 3, padding=1, bias=False), nn.BatchNorm2d(width_out), nn.ReLU())
