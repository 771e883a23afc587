"""EfficientNet by the names of the package `efficientnet_pytorch`, with its padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of

_EPS = 1e-3
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_SIDES = {16: 224, 23: 240, 26: 300, 32: 380, 39: 456, 45: 528, 55: 600, 61: 672}
_WIDER = {(23, 1408): 260}


class _Conv(nn.Conv2d):
    """A convolution padded as TensorFlow pads an image of a given side, whatever the side of the image at hand."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int, side: int, groups: int = 1, *, bias: bool = False
    ) -> None:
        super().__init__(before, after, kernel, stride, groups=groups, bias=bias)
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        self.around = (total // 2, total - total // 2) * 2

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', h, w)."""
        return super().forward(functional.pad(maps, self.around))


class _Block(nn.Module):
    """Expansion, depthwise convolution, squeeze and excitation, projection; added to the input where shapes allow."""

    def __init__(
        self, before: int, middle: int, after: int, squeezed: int, kernel: int, stride: int, side: int, *, expands: bool
    ) -> None:
        super().__init__()
        self.adds = stride == 1 and before == after
        if expands:
            self._expand_conv = nn.Conv2d(before, middle, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(middle, _EPS)
        self._depthwise_conv = _Conv(middle, middle, kernel, stride, side, middle)
        self._bn1 = nn.BatchNorm2d(middle, _EPS)
        if squeezed:
            self._se_reduce = nn.Conv2d(middle, squeezed, 1)
            self._se_expand = nn.Conv2d(squeezed, middle, 1)
        self._project_conv = nn.Conv2d(middle, after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(after, _EPS)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', h, w)."""
        wide = functional.silu(self._bn0(self._expand_conv(maps))) if hasattr(self, "_expand_conv") else maps
        wide = functional.silu(self._bn1(self._depthwise_conv(wide)))
        if hasattr(self, "_se_reduce"):
            means = functional.silu(self._se_reduce(wide.mean(dim=(2, 3), keepdim=True)))
            wide = wide * self._se_expand(means).sigmoid()
        projected: torch.Tensor = self._bn2(self._project_conv(wide))
        return maps + projected if self.adds else projected


class EfficientNet(nn.Module):
    """EfficientNet (https://arxiv.org/abs/1905.11946) as lukemelas/EfficientNet-PyTorch builds it: the pooled map.

    Args:
        stem: Channels after the first convolution.
        blocks: For each block its channels in (`before`), within (`middle`) and out (`after`), those of its squeeze
            (`squeezed`, 0 for none), the side of its depthwise convolution (`kernel`) and whether it expands
            (`expands`). A block with other channels out than the one before begins a stage.
        width: Channels of the feature.
        side: Side of the images that the network's size was made for, by which every convolution is padded.
    """

    def __init__(
        self,
        stem: int = 32,
        blocks: Sequence[Mapping[str, int]] = (
            {"before": 32, "middle": 32, "after": 16, "squeezed": 8, "kernel": 3, "expands": 0},
        ),
        width: int = 1280,
        side: int = 224,
    ) -> None:
        super().__init__()
        self._conv_stem = _Conv(3, stem, 3, 2, side)
        self._bn0 = nn.BatchNorm2d(stem, _EPS)
        side = -(-side // 2)
        built, stage, last = [], -1, 0
        for block in blocks:
            stride = 1
            if block["after"] != last:
                stage += 1
                stride = _STRIDES[stage]
            last = block["after"]
            sizes = {name: block[name] for name in ("before", "middle", "after", "squeezed", "kernel")}
            built.append(_Block(**sizes, stride=stride, side=side, expands=bool(block["expands"])))
            side = -(-side // stride)
        self._blocks = nn.Sequential(*built)
        self._conv_head = nn.Conv2d(last, width, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(width, _EPS)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads each block's sizes, and from their number the image size of the network's name (B0 to B8).

        Args:
            tensors: The file's tensors by the names of `efficientnet_pytorch`.

        Returns:
            The options; None where the tensors are no EfficientNet's of that package.
        """
        stem = shape_of(tensors, "_conv_stem.weight", 4)
        width = shape_of(tensors, "_conv_head.weight", 4)[0]
        count = count_of(tensors, r"_blocks\.(\d+)\._depthwise_conv\.weight")
        blocks = [_described(tensors, f"_blocks.{index}.") for index in range(count)]
        outs = [block["after"] for block in blocks]
        stages = sum(one != other for one, other in zip([0, *outs[:-1]], outs, strict=True)) if outs else 0
        side = _WIDER.get((count, width), _SIDES.get(count, 0))
        if stem[1:] != (3, 3, 3) or not width or not side or stages != len(_STRIDES):
            return None
        return Structure({"stem": stem[0], "blocks": blocks, "width": width, "side": side})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        maps = self._blocks(functional.silu(self._bn0(self._conv_stem(images))))
        pooled: torch.Tensor = functional.silu(self._bn1(self._conv_head(maps))).mean(dim=(2, 3))
        return pooled


def _described(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, int]:
    middle, _, kernel, _ = shape_of(tensors, prefix + "_depthwise_conv.weight", 4)
    expanded, before, _, _ = shape_of(tensors, prefix + "_expand_conv.weight", 4)
    return {
        "before": before if expanded else middle,
        "middle": middle,
        "after": shape_of(tensors, prefix + "_project_conv.weight", 4)[0],
        "squeezed": shape_of(tensors, prefix + "_se_reduce.weight", 4)[0],
        "kernel": kernel,
        "expands": int(expanded > 0),
    }
