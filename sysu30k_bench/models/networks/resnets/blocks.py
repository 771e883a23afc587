"""Residual blocks (He et al., CVPR 2016, figure 5) with the layers that re-ID networks put into them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sysu30k_bench.models.networks.resnets.norms import InstanceBatchNorm
from sysu30k_bench.models.networks.resnets.splat import SplitAttention
from sysu30k_bench.models.networks.resnets.squeeze import squeeze_of


@dataclass(frozen=True)
class BlockForm:
    """What makes one block.

    Attributes:
        features: Channels that come in.
        entry: Channels after the first convolution.
        width: Channels after the second.
        out: Channels that go out.
        stride: Of the strided convolution and of the shortcut.
        dilation: Of the 3 x 3 convolutions.
        groups: Of the second convolution.
        instance: `a` for instance and batch norm after the first convolution, `b` for instance norm after the sum
            (IBN-Net), `` for none.
        se: `conv`, `linear` or `` for none.
        se_width: Inner channels of the squeeze.
        radix: Splits of a split-attention convolution (ResNeSt), 0 for a plain one.
        smooth: An average pooling after the split attention takes its stride (ResNeSt).
        early_stride: The first convolution has the stride (Caffe's ResNet), not the second.
        shortcut_kernel: Kernel of the shortcut's convolution.
        average_shortcut: The shortcut pools before its convolution (ResNet-D, He et al., CVPR 2019, figure 2c).
    """

    features: int
    entry: int
    width: int
    out: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    instance: str = ""
    se: str = ""
    se_width: int = 0
    radix: int = 0
    smooth: bool = False
    early_stride: bool = False
    shortcut_kernel: int = 1
    average_shortcut: bool = False


class _Residual(nn.Module):
    def __init__(self, form: BlockForm) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.downsample = _shortcut(form)
        if form.se:
            self.se = squeeze_of(form.se, form.out, form.se_width)
        if form.instance == "b":
            self.IN = nn.InstanceNorm2d(form.out, affine=True)

    def _close(self, maps: torch.Tensor, entered: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "se"):
            maps = self.se(maps)
        maps = maps + (entered if self.downsample is None else self.downsample(entered))
        if hasattr(self, "IN"):
            maps = self.IN(maps)
        closed: torch.Tensor = self.relu(maps)
        return closed


class BasicBlock(_Residual):
    """Two 3 x 3 convolutions.

    Args:
        form: Its channels and special layers.
    """

    def __init__(self, form: BlockForm) -> None:
        super().__init__(form)
        self.conv1 = nn.Conv2d(
            form.features, form.entry, 3, form.stride, form.dilation, form.dilation, form.groups, bias=False
        )
        self.bn1 = _norm(form, form.entry)
        self.conv2 = nn.Conv2d(form.entry, form.out, 3, 1, form.dilation, form.dilation, form.groups, bias=False)
        self.bn2 = nn.BatchNorm2d(form.out)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        inner = self.relu(self.bn1(self.conv1(maps)))
        return self._close(self.bn2(self.conv2(inner)), maps)


class Bottleneck(_Residual):
    """A 1 x 1, a 3 x 3 and a 1 x 1 convolution.

    Args:
        form: Its channels and special layers.
    """

    def __init__(self, form: BlockForm) -> None:
        super().__init__(form)
        early = form.stride if form.early_stride else 1
        late = 1 if form.early_stride or form.smooth else form.stride
        self.conv1 = nn.Conv2d(form.features, form.entry, 1, early, bias=False)
        self.bn1 = _norm(form, form.entry)
        if form.radix:
            self.conv2: nn.Module = SplitAttention(
                form.entry,
                form.width,
                form.se_width,
                stride=late,
                dilation=form.dilation,
                groups=form.groups,
                radix=form.radix,
            )
            self.bn2: nn.Module = nn.Identity()
        else:
            self.conv2 = nn.Conv2d(
                form.entry, form.width, 3, late, form.dilation, form.dilation, form.groups, bias=False
            )
            self.bn2 = nn.BatchNorm2d(form.width)
        self.smooth = nn.AvgPool2d(3, form.stride, 1) if form.smooth else nn.Identity()
        self.conv3 = nn.Conv2d(form.width, form.out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(form.out)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        inner = self.relu(self.bn1(self.conv1(maps)))
        inner = self.smooth(self.relu(self.bn2(self.conv2(inner))))
        return self._close(self.bn3(self.conv3(inner)), maps)


def _norm(form: BlockForm, features: int) -> nn.Module:
    return InstanceBatchNorm(features) if form.instance == "a" else nn.BatchNorm2d(features)


def _shortcut(form: BlockForm) -> nn.Sequential | None:
    if form.stride == 1 and form.features == form.out:
        return None
    stride = 1 if form.average_shortcut else form.stride
    kernel = form.shortcut_kernel
    layers = [
        nn.Conv2d(form.features, form.out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(form.out),
    ]
    if form.average_shortcut:
        return nn.Sequential(nn.AvgPool2d(form.stride, form.stride, ceil_mode=True, count_include_pad=False), *layers)
    return nn.Sequential(*layers)
