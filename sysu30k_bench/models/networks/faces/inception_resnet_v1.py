"""Inception-ResNet-v1 (Szegedy et al., AAAI 2017, figures 10 to 14) as timesler/facenet-pytorch builds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.faces.shapes import count_of, shape_of

Size = tuple[int, int]


class Conv(nn.Module):
    """Convolution, batch norm with TensorFlow's epsilon, ReLU.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Rows and columns.
        stride: Of the convolution.
        padding: Of the convolution; none where absent.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Size = (1, 1), stride: int = 1, padding: Size = (0, 0)
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, outputs, H', W')."""
        return F.relu(self.bn(self.conv(maps)))


def same(inputs: int, widths: Sequence[int], kernels: Sequence[Size]) -> nn.Module:
    """Builds convolutions in a row that keep the size of the map; a single one stands alone."""
    sources = (inputs, *widths[:-1])
    steps = [
        Conv(source, width, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        for source, width, kernel in zip(sources, widths, kernels, strict=True)
    ]
    return steps[0] if len(steps) == 1 else nn.Sequential(*steps)


class Residual(nn.Module):
    """Branches side by side, joined by a convolution and added, scaled, to the input.

    Args:
        inputs: Channels of input and output.
        branches: Widths and kernels of the convolutions of each branch.
        scale: Of what is added.
        relu: Whether the sum goes through ReLU.
    """

    def __init__(
        self, inputs: int, branches: Sequence[tuple[Sequence[int], Sequence[Size]]], scale: float, *, relu: bool = True
    ) -> None:
        super().__init__()
        self.names = [f"branch{number}" for number in range(len(branches))]
        for name, (widths, kernels) in zip(self.names, branches, strict=True):
            self.add_module(name, same(inputs, widths, kernels))
        self.conv2d = nn.Conv2d(sum(widths[-1] for widths, _ in branches), inputs, 1)
        self.scale, self.relu = scale, relu

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        joined = torch.cat([getattr(self, name)(maps) for name in self.names], dim=1)
        maps = maps + self.scale * self.conv2d(joined)
        return F.relu(maps) if self.relu else maps


class Reduction(nn.Module):
    """Branches of stride 2 side by side, and max pooling beside them.

    Args:
        inputs: Channels of the input.
        branches: Widths of the convolutions of each branch; the last has stride 2, and of three the middle one pads.
    """

    def __init__(self, inputs: int, branches: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.names = [f"branch{number}" for number in range(len(branches))]
        for name, widths in zip(self.names, branches, strict=True):
            last = Conv(widths[-2] if len(widths) > 1 else inputs, widths[-1], (3, 3), stride=2)
            before = [Conv(inputs, widths[0])] if len(widths) > 1 else []
            before += [Conv(widths[0], widths[1], (3, 3), padding=(1, 1))] if len(widths) > 2 else []
            self.add_module(name, nn.Sequential(*before, last) if before else last)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C + widths, H / 2, W / 2)."""
        return torch.cat([*(getattr(self, name)(maps) for name in self.names), F.max_pool2d(maps, 3, 2)], dim=1)


class InceptionResnetV1(nn.Module):
    """The network up to the batch norm behind its linear layer.

    Args:
        repeats: Blocks on the three sizes of the map, the last one of the third aside.
        output: Width of the embedding.
    """

    def __init__(self, repeats: Sequence[int] = (5, 10, 5), output: int = 512) -> None:
        super().__init__()
        self.conv2d_1a = Conv(3, 32, (3, 3), stride=2)
        self.conv2d_2a = Conv(32, 32, (3, 3))
        self.conv2d_2b = Conv(32, 64, (3, 3), padding=(1, 1))
        self.conv2d_3b = Conv(64, 80)
        self.conv2d_4a = Conv(80, 192, (3, 3))
        self.conv2d_4b = Conv(192, 256, (3, 3), stride=2)
        one, three = (1, 1), (3, 3)
        small = [((32,), (one,)), ((32, 32), (one, three)), ((32, 32, 32), (one, three, three))]
        middle = [((128,), (one,)), ((128, 128, 128), (one, (1, 7), (7, 1)))]
        large = [((192,), (one,)), ((192, 192, 192), (one, (1, 3), (3, 1)))]
        self.repeat_1 = nn.Sequential(*[Residual(256, small, 0.17) for _ in range(repeats[0])])
        self.mixed_6a = Reduction(256, [(384,), (192, 192, 256)])
        self.repeat_2 = nn.Sequential(*[Residual(896, middle, 0.10) for _ in range(repeats[1])])
        self.mixed_7a = Reduction(896, [(256, 384), (256, 256), (256, 256, 256)])
        self.repeat_3 = nn.Sequential(*[Residual(1792, large, 0.20) for _ in range(repeats[2])])
        self.block8 = Residual(1792, large, 1.0, relu=False)
        self.last_linear = nn.Linear(1792, output, bias=False)
        self.last_bn = nn.BatchNorm1d(output, eps=1e-3)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the number of blocks and the width of the embedding."""
        linear = shape_of(tensors, "last_linear.weight", 2)
        repeats = [count_of(tensors, f"repeat_{number}.", ".conv2d.weight") for number in (1, 2, 3)]
        if linear is None or not all(repeats) or sum(repeats) > 200:
            return None
        return Structure({"repeats": repeats, "output": linear[0]})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, 160, 160) to the embedding, (N, output)."""
        maps = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(images)))
        maps = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(F.max_pool2d(maps, 3, 2))))
        maps = self.mixed_7a(self.repeat_2(self.mixed_6a(self.repeat_1(maps))))
        maps = self.block8(self.repeat_3(maps))
        result: torch.Tensor = self.last_bn(self.last_linear(maps.mean(dim=(2, 3))))
        return result
