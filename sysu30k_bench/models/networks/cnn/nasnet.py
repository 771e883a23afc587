"""NASNet-A for phones: cells that a search found, stacked as in torchreid."""

from __future__ import annotations

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.reading import Tensors, demand, none_where_unfit, shape_of

_EPS = 0.001
_LEVELS = 3
_CELLS = 4


class Separable(nn.Module):
    """ReLU, depthwise and pointwise convolution and batch norm, twice; the stride is the first one's.

    Args:
        width: Channels that come in.
        out: Channels that go out.
        kernel: Of the depthwise convolutions.
        stride: Of the first of them.
        early: Whether the first pointwise convolution already has `out` channels, as in the stem.
        shifted: Whether strides count from the second pixel on, as TensorFlow's padding has it for even sizes.
    """

    def __init__(
        self, width: int, out: int, kernel: int, stride: int = 1, *, early: bool = False, shifted: bool = False
    ) -> None:
        super().__init__()
        middle = out if early else width
        self.shifted = shifted
        self.separable_1 = _depthwise_pointwise(width, middle, kernel, stride)
        self.bn_sep_1 = nn.BatchNorm2d(middle, eps=_EPS)
        self.separable_2 = _depthwise_pointwise(middle, out, kernel, 1)
        self.bn_sep_2 = nn.BatchNorm2d(out, eps=_EPS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h / stride, w / stride)."""
        features = torch.relu(features)
        filtered = _shifted(self.separable_1, features) if self.shifted else self.separable_1(features)
        mapped: torch.Tensor = self.bn_sep_2(self.separable_2(torch.relu(self.bn_sep_1(filtered))))
        return mapped


class Halving(nn.Module):
    """Halves a map by two grids of every other pixel, one pixel apart, each with its own convolution."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.path_1 = nn.Conv2d(width, out // 2, 1, bias=False)
        self.path_2 = nn.Conv2d(width, out // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * (out // 2), eps=_EPS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, out, h / 2, w / 2)."""
        features = torch.relu(features)
        later = nn.functional.pad(features, (-1, 1, -1, 1))
        halves = [self.path_1(features[:, :, ::2, ::2]), self.path_2(later[:, :, ::2, ::2])]
        joined: torch.Tensor = self.bn(torch.cat(halves, dim=1))
        return joined


class Reduction(nn.Module):
    """A reduction cell (figure 4, right).

    Args:
        before: How the cell's second input becomes one of `second` channels.
        width: Channels of its first input.
        out: Channels of each branch.
        second: Channels of the second input.
        shifted: As in `Separable`.
    """

    def __init__(self, before: nn.Module, width: int, out: int, second: int, *, shifted: bool = True) -> None:
        super().__init__()
        self.before = before
        self.now = _pointwise(width, out)
        early = second != out
        self.comb = nn.ModuleDict(
            {
                "0_left": Separable(out, out, 5, 2, shifted=shifted),
                "0_right": Separable(second, out, 7, 2, early=early, shifted=shifted),
                "1_right": Separable(second, out, 7, 2, early=early, shifted=shifted),
                "2_right": Separable(second, out, 5, 2, early=early, shifted=shifted),
                "4_left": Separable(out, out, 3),
            }
        )
        self.largest = nn.MaxPool2d(3, stride=2, padding=1)
        self.average = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.smooth = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.shifted = shifted

    def forward(self, features: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) and the map before it to (N, 4 * out, h / 2, w / 2)."""
        left, right = self.now(features), self.before(before)
        largest, average = (
            _shifted(pool, left) if self.shifted else pool(left) for pool in (self.largest, self.average)
        )
        first = self.comb["0_left"](left) + self.comb["0_right"](right)
        second = largest + self.comb["1_right"](right)
        third = average + self.comb["2_right"](right)
        return torch.cat([second, third, self.smooth(first) + second, self.comb["4_left"](first) + largest], dim=1)


class Normal(nn.Module):
    """A normal cell (figure 4, left).

    Args:
        before: How the cell's second input becomes one of `out` channels.
        width: Channels of its first input.
        out: Channels of each branch.
    """

    def __init__(self, before: nn.Module, width: int, out: int) -> None:
        super().__init__()
        self.before = before
        self.now = _pointwise(width, out)
        kernels = {"0_left": 5, "0_right": 3, "1_left": 5, "1_right": 3, "4_left": 3}
        self.comb = nn.ModuleDict({name: Separable(out, out, kernel) for name, kernel in kernels.items()})
        self.smooth = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)

    def forward(self, features: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) and the map before it to (N, 6 * out, h, w)."""
        new, old = self.now(features), self.before(before)
        first = self.comb["0_left"](new) + self.comb["0_right"](old)
        second = self.comb["1_left"](old) + self.comb["1_right"](old)
        smooth = self.smooth(old)
        return torch.cat(
            [old, first, second, self.smooth(new) + old, smooth + smooth, self.comb["4_left"](new) + new], dim=1
        )


class NASNetAMobile(nn.Module):
    """NASNet-A (4 @ 1056): the mean of its last map, behind a ReLU.

    Zoph et al., Learning Transferable Architectures for Scalable Image Recognition (CVPR 2018); code:
    KaiyangZhou/deep-person-reid, `torchreid/models/nasnet.py`.

    Args:
        stem: Channels of the first convolution.
        filters: Channels of a branch in the first normal cells, a multiple of 4; each reduction doubles them.
    """

    def __init__(self, stem: int = 32, filters: int = 44) -> None:
        super().__init__()
        self.conv0 = nn.Sequential()
        self.conv0.add_module("conv", nn.Conv2d(3, stem, 3, stride=2, bias=False))
        self.conv0.add_module("bn", nn.BatchNorm2d(stem, eps=_EPS))
        quarter, half = filters // 4, filters // 2
        self.cell_stem_0 = Reduction(nn.Identity(), stem, quarter, stem, shifted=False)
        self.cell_stem_1 = Reduction(Halving(stem, half), 4 * quarter, half, half)
        before, width = 4 * quarter, 4 * half
        self.chain: list[str] = []
        for level in range(_LEVELS):
            out = filters << level
            if level > 0:
                self._append(f"reduction_cell_{level - 1}", Reduction(_pointwise(before, out), width, out, out))
                before, width = width, 4 * out
            for i in range(_CELLS):
                aligned = _pointwise(before, out) if i > 0 else Halving(before, out)
                self._append(f"cell_{6 * level + i}", Normal(aligned, width, out))
                before, width = width, 6 * out

    def _append(self, name: str, cell: nn.Module) -> None:
        self.add_module(name, cell)
        self.chain.append(name)

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        stem = shape_of(tensors, "conv0.conv.weight", 4)[0]
        filters = shape_of(tensors, "cell_0.now.conv.weight", 4)[0]
        demand(filters % 4 == 0)
        return Structure({"stem": stem, "filters": filters})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        first = self.conv0(images)
        before = self.cell_stem_0(first, first)
        features = self.cell_stem_1(before, first)
        for name in self.chain:
            before, features = features, self.get_submodule(name)(features, before)
        return torch.relu(features).mean(dim=(2, 3))


def _pointwise(width: int, out: int) -> nn.Sequential:
    layers = nn.Sequential(nn.ReLU())
    layers.add_module("conv", nn.Conv2d(width, out, 1, bias=False))
    layers.add_module("bn", nn.BatchNorm2d(out, eps=_EPS))
    return layers


def _depthwise_pointwise(width: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    layers = nn.Sequential()
    depthwise = nn.Conv2d(width, width, kernel, stride, padding=kernel // 2, groups=width, bias=False)
    layers.add_module("depthwise_conv2d", depthwise)
    layers.add_module("pointwise_conv2d", nn.Conv2d(width, out, 1, bias=False))
    return layers


def _shifted(layer: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Applies a strided layer so that its windows are centred on every second pixel from the second on."""
    shifted: torch.Tensor = layer(nn.functional.pad(features, (1, 0, 1, 0)))
    return shifted[:, :, 1:, 1:]
