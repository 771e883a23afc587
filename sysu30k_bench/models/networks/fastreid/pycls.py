"""RegNet and EfficientNet in the names of pycls (facebookresearch/pycls), as fast-reid has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

_EFFICIENT_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_LAST_STRIDED = 5
_Tensors = Mapping[str, torch.Tensor]


class Gate(nn.Module):
    """Squeeze and excitation with the layers `f_ex.0` and `f_ex.2`.

    Args:
        width: Channels.
        inner: Channels between.
        swish: Whether the inner activation is swish; ReLU where not.
    """

    def __init__(self, width: int, inner: int, *, swish: bool) -> None:
        super().__init__()
        self.f_ex = nn.Sequential(
            nn.Conv2d(width, inner, 1), nn.SiLU() if swish else nn.ReLU(), nn.Conv2d(inner, width, 1), nn.Sigmoid()
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Scales maps (N, width, H, W)."""
        gate: torch.Tensor = self.f_ex(maps.mean(dim=(2, 3), keepdim=True))
        return maps * gate


class _Transform(nn.Module):
    def __init__(self, features: int, width: int, out: int, stride: int, groups: int, gate: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(features, width, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(width)
        self.b = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.b_bn = nn.BatchNorm2d(width)
        self.se = Gate(width, gate, swish=False) if gate else nn.Identity()
        self.c = nn.Conv2d(width, out, 1, bias=False)
        self.c_bn = nn.BatchNorm2d(out)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.a_bn(self.a(maps)))
        maps = torch.relu(self.b_bn(self.b(maps)))
        transformed: torch.Tensor = self.c_bn(self.c(self.se(maps)))
        return transformed


class XBlock(nn.Module):
    """The residual block of RegNetX, with squeeze and excitation of RegNetY (Radosavovic et al., CVPR 2020)."""

    def __init__(self, features: int, width: int, out: int, stride: int, groups: int, gate: int) -> None:
        super().__init__()
        if features != out or stride != 1:
            self.proj = nn.Conv2d(features, out, 1, stride, bias=False)
            self.bn = nn.BatchNorm2d(out)
        self.f = _Transform(features, width, out, stride, groups, gate)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        shortcut = self.bn(self.proj(maps)) if hasattr(self, "proj") else maps
        return torch.relu(shortcut + self.f(maps))


class RegNet(nn.Module):
    """A stem of stride 2 and four stages.

    Args:
        stem: Channels of the first convolution.
        blocks: For each stage, how many.
        outputs: For each stage, its channels.
        groups: For each stage, those of the 3 x 3 convolutions.
        gates: For each stage, inner channels of the gates of its first and of its other blocks, 0 for none.
        last_stride: Of the last stage.
    """

    def __init__(
        self,
        stem: int = 32,
        blocks: Sequence[int] = (1, 3, 7, 5),
        outputs: Sequence[int] = (64, 128, 288, 672),
        groups: Sequence[int] = (4, 8, 18, 42),
        gates: Sequence[Sequence[int]] = ((0, 0), (0, 0), (0, 0), (0, 0)),
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        self.stem.add_module("conv", nn.Conv2d(3, stem, 3, 2, 1, bias=False))
        self.stem.add_module("bn", nn.BatchNorm2d(stem))
        self.stem.add_module("relu", nn.ReLU())
        entered, self.stages = stem, len(blocks)
        for stage, (count, out) in enumerate(zip(blocks, outputs, strict=True)):
            layers = nn.Sequential()
            for number in range(count):
                stride = 1 if number else last_stride if stage == len(blocks) - 1 else 2
                block = XBlock(entered, out, out, stride, groups[stage], gates[stage][min(number, 1)])
                layers.add_module(f"b{number + 1}", block)
                entered = out
            self.add_module(f"s{stage + 1}", layers)
        self.width = entered

    @staticmethod
    def options(tensors: _Tensors) -> dict[str, object] | None:
        """Reads the options off tensors by these names; None where they are another network's."""
        if "stem.conv.weight" not in tensors or "s1.b1.f.a.weight" not in tensors:
            return None
        blocks = _blocks(tensors, "f.a.weight")
        stages = range(1, len(blocks) + 1)
        shapes = [tuple(tensors[f"s{stage}.b1.f.b.weight"].shape) for stage in stages]
        return {
            "stem": int(tensors["stem.conv.weight"].shape[0]),
            "blocks": blocks,
            "outputs": [int(tensors[f"s{stage}.b1.f.c.weight"].shape[0]) for stage in stages],
            "groups": [shape[0] // shape[1] for shape in shapes],
            "gates": [[_inner(tensors, f"s{stage}.b{number}.f.") for number in (1, 2)] for stage in stages],
        }

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, C, H / 16, W / 16), or H / 32 where the last stride is 2."""
        maps: torch.Tensor = self.stem(images)
        for stage in range(1, self.stages + 1):
            maps = self.get_submodule(f"s{stage}")(maps)
        return maps


class MBConv(nn.Module):
    """The block of EfficientNet (Tan and Le, ICML 2019)."""

    def __init__(self, features: int, width: int, out: int, kernel: int, stride: int, gate: int) -> None:
        super().__init__()
        self.residual = stride == 1 and features == out
        if width != features:
            self.exp = nn.Conv2d(features, width, 1, bias=False)
            self.exp_bn = nn.BatchNorm2d(width)
        self.dwise = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
        self.dwise_bn = nn.BatchNorm2d(width)
        self.se = Gate(width, gate, swish=True)
        self.lin_proj = nn.Conv2d(width, out, 1, bias=False)
        self.lin_proj_bn = nn.BatchNorm2d(out)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        inner = maps
        if hasattr(self, "exp"):
            inner = nn.functional.silu(self.exp_bn(self.exp(inner)))
        inner = self.se(nn.functional.silu(self.dwise_bn(self.dwise(inner))))
        inner = self.lin_proj_bn(self.lin_proj(inner))
        mapped: torch.Tensor = maps + inner if self.residual else inner
        return mapped


class EfficientNet(nn.Module):
    """A stem, seven stages and a last convolution.

    Args:
        stem: Channels of the first convolution.
        stages: For each stage: blocks, channels, expansion, kernel, inner channels of the first and of other gates.
        head: Channels of the last convolution.
        last_stride: Of the sixth stage.
    """

    def __init__(
        self,
        stem: int = 32,
        stages: Sequence[Sequence[int]] = ((1, 16, 1, 3, 8, 8),),
        head: int = 1280,
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        self.stem = _stem(stem)
        entered, self.stages = stem, len(stages)
        for stage, (count, out, expansion, kernel, first, other) in enumerate(stages):
            layers = nn.Sequential()
            for number in range(count):
                stride, gate = (
                    (1, other)
                    if number
                    else (last_stride if stage == _LAST_STRIDED else _EFFICIENT_STRIDES[stage], first)
                )
                layers.add_module(f"b{number + 1}", MBConv(entered, entered * expansion, out, kernel, stride, gate))
                entered = out
            self.add_module(f"s{stage + 1}", layers)
        self.head = nn.Sequential()
        self.head.add_module("conv", nn.Conv2d(entered, head, 1, bias=False))
        self.head.add_module("conv_bn", nn.BatchNorm2d(head))
        self.head.add_module("conv_swish", nn.SiLU())
        self.width = head

    @staticmethod
    def options(tensors: _Tensors) -> dict[str, object] | None:
        """Reads the options off tensors by these names; None where they are another network's."""
        if "head.conv.weight" not in tensors or "s1.b1.dwise.weight" not in tensors:
            return None
        stages = []
        entered = int(tensors["stem.conv.weight"].shape[0])
        for stage, count in enumerate(_blocks(tensors, "dwise.weight"), start=1):
            width, _, kernel, _ = tensors[f"s{stage}.b1.dwise.weight"].shape
            gates = [_inner(tensors, f"s{stage}.b{number}.") for number in (1, 2)]
            out = int(tensors[f"s{stage}.b1.lin_proj.weight"].shape[0])
            stages.append([count, out, int(width) // entered, int(kernel), *gates])
            entered = out
        return {
            "stem": int(tensors["stem.conv.weight"].shape[0]),
            "stages": stages,
            "head": int(tensors["head.conv.weight"].shape[0]),
        }

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, head, h, w)."""
        maps: torch.Tensor = self.stem(images)
        for stage in range(1, self.stages + 1):
            maps = self.get_submodule(f"s{stage}")(maps)
        last: torch.Tensor = self.head(maps)
        return last


def _stem(width: int) -> nn.Sequential:
    stem = nn.Sequential()
    stem.add_module("conv", nn.Conv2d(3, width, 3, 2, 1, bias=False))
    stem.add_module("bn", nn.BatchNorm2d(width))
    stem.add_module("swish", nn.SiLU())
    return stem


def _blocks(tensors: _Tensors, leaf: str) -> list[int]:
    blocks: list[int] = []
    while f"s{len(blocks) + 1}.b1.{leaf}" in tensors:
        number = 1
        while f"s{len(blocks) + 1}.b{number + 1}.{leaf}" in tensors:
            number += 1
        blocks.append(number)
    return blocks


def _inner(tensors: _Tensors, block: str) -> int:
    weight = tensors.get(f"{block}se.f_ex.0.weight")
    return 0 if weight is None else int(weight.shape[0])
