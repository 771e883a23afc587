"""The convolutional block that torchreid's older networks are built of."""

from __future__ import annotations

import torch
from torch import nn


class ConvBlock(nn.Module):
    """Convolution with bias, batch norm and ReLU; tensors `conv` and `bn`.

    Args:
        width: Channels that come in.
        out: Channels that go out.
        kernel: Height and width of the convolution, odd, padded so that its size stays.
        stride: Of the convolution.
    """

    def __init__(self, width: int, out: int, kernel: int | tuple[int, int] = 1, stride: int = 1) -> None:
        super().__init__()
        height, length = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.conv = nn.Conv2d(width, out, (height, length), stride, padding=(height // 2, length // 2))
        self.bn = nn.BatchNorm2d(out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h / stride, w / stride)."""
        return torch.relu(self.bn(self.conv(features)))


class Streams(nn.Module):
    """Parallel streams `stream1`, `stream2`, ... of one input, their channels joined."""

    def __init__(self, *streams: nn.Module) -> None:
        super().__init__()
        for number, stream in enumerate(streams, start=1):
            self.add_module(f"stream{number}", stream)

    def each(self, features: torch.Tensor) -> list[torch.Tensor]:
        """Returns every stream's output."""
        return [stream(features) for stream in self.children()]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, h, w) to (N, D, h', w')."""
        return torch.cat(self.each(features), dim=1)
