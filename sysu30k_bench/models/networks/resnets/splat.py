"""The split-attention convolution of ResNeSt (Zhang et al., CVPRW 2022, section 3.1)."""

from __future__ import annotations

import torch
from torch import nn


class SplitAttention(nn.Module):
    """A grouped 3 x 3 convolution into several splits, summed with a softmax weight for each channel.

    Args:
        features: Channels that come in.
        out: Channels that go out.
        inner: Channels between the two layers that make the weights.
        stride: Of the convolution.
        dilation: Of the convolution.
        groups: Cardinal groups.
        radix: Splits of each group; 1 weighs by a sigmoid.
    """

    def __init__(
        self, features: int, out: int, inner: int, *, stride: int, dilation: int = 1, groups: int = 1, radix: int = 2
    ) -> None:
        super().__init__()
        self.radix, self.groups = radix, groups
        self.conv = nn.Conv2d(features, out * radix, 3, stride, dilation, dilation, groups * radix, bias=False)
        self.bn0 = nn.BatchNorm2d(out * radix)
        self.relu = nn.ReLU()
        self.fc1 = nn.Conv2d(out, inner, 1, groups=groups)
        self.bn1 = nn.BatchNorm2d(inner)
        self.fc2 = nn.Conv2d(inner, out * radix, 1, groups=groups)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        splits = self.relu(self.bn0(self.conv(maps))).unflatten(1, (self.radix, -1))
        pooled = splits.sum(dim=1).mean(dim=(2, 3), keepdim=True)
        weights = self.fc2(self.relu(self.bn1(self.fc1(pooled)))).unflatten(1, (self.groups, self.radix, -1))
        weights = weights.softmax(dim=2) if self.radix > 1 else weights.sigmoid()
        weights = weights.transpose(1, 2).flatten(2, 3)
        summed: torch.Tensor = (splits * weights).sum(dim=1)
        return summed
