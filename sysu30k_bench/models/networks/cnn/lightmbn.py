"""LightMBN: OSNet or ResNet-50 with a branch each for the whole, for two halves and for two groups of channels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.osnet import ConvNorm, OmniScaleBlock, halving
from sysu30k_bench.models.networks.cnn.reading import Tensors, count_of, demand, none_where_unfit, shape_of

Kind = Literal["osnet", "resnet50"]
Neck = Literal["conv", "linear"]
_WIDTHS = (64, 256, 384, 512)


class Reduction(nn.Module):
    """Reduces a pooled feature, then normalises it: convolution without bias (BNNeck3), or Linear (ClassBlock)."""

    def __init__(self, width: int, out: int, neck: Neck) -> None:
        super().__init__()
        self.reduction = nn.Conv2d(width, out, 1, bias=False) if neck == "conv" else nn.Linear(width, out)
        self.bn = nn.BatchNorm1d(out)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Maps (N, width) to (N, out)."""
        grid = pooled[:, :, None, None] if isinstance(self.reduction, nn.Conv2d) else pooled
        features: torch.Tensor = self.bn(self.reduction(grid).flatten(1))
        return features


class ChannelNeck(nn.Module):
    """The batch norm of one group of channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(width)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Maps (N, width) to the same shape."""
        features: torch.Tensor = self.bn(pooled)
        return features


class LightMBN(nn.Module):
    """Lightweight multi-branch network; each part's feature is taken behind its batch norm.

    Herzog et al., Lightweight Multi-Branch Network for Person Re-Identification (ICIP 2021), figure 1; code:
    jixunbo/LightMBN, `model/lmbn_n.py`, `lmbn_r.py`, `lmbn_n_no_drop.py` and
    `lmbn_n_drop_no_bnneck.py`.

    Args:
        trunk: Kind of the trunk.
        drop: Has the block behind the global branch whose output training erases in part; it gives one part more.
        neck: How the branches' features are reduced.
        features: Width of a part.
        groups: Groups of channels.
    """

    def __init__(
        self, trunk: Kind = "osnet", drop: bool = True, neck: Neck = "conv", features: int = 512, groups: int = 2
    ) -> None:
        super().__init__()
        width = 512 if trunk == "osnet" else 2048
        self.trunk, self.groups = trunk, groups
        if trunk == "osnet":
            self.backone = _osnet_stem()
            branches = [_osnet_branch() for _ in range(3)]
        else:
            self.backone = _resnet_stem()
            branches = [_resnet_branch(stride) for stride in (2, 1, 1)]
        self.global_branch, self.partial_branch, self.channel_branch = branches
        self.drop: nn.Module | None = None
        if drop:
            self.drop = _block(width, width) if trunk == "osnet" else Bottleneck(width, width // 4)
        self.whole, self.top, self.bottom, self.part = (Reduction(width, features, neck) for _ in range(4))
        self.dropped = Reduction(width, features, neck) if drop else None
        self.shared = nn.Sequential(
            nn.Conv2d(width // groups, features, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU()
        )
        self.channel = nn.ModuleList(ChannelNeck(features) for _ in range(groups))

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        neck: Neck = "conv" if tensors["whole.reduction.weight"].dim() == 4 else "linear"
        features, width = shape_of(tensors, "whole.reduction.weight", 4 if neck == "conv" else 2)[:2]
        trunk = {512: "osnet", 2048: "resnet50"}[width]
        groups = count_of(tensors, "channel.{}.bn.weight")
        demand(groups > 0, width % max(1, groups) == 0)
        drop = "dropped.bn.weight" in tensors
        if trunk == "resnet50" and not drop:
            raise ValueError("LMBN_r without the block normalises its parts before the views are summed")
        return Structure({"trunk": trunk, "drop": drop, "neck": neck, "features": features, "groups": groups})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 384 x 128, to (N, parts * features), one part after the other.

        The parts are the whole, its block for dropping, the maximum of the partial branch, its two halves, and the
        groups of channels.
        """
        common = self.backone(images)
        whole, partial, channel = (
            branch(common) for branch in (self.global_branch, self.partial_branch, self.channel_branch)
        )
        if self.drop is not None:
            whole = self.drop(whole)
        averaged = self.trunk == "osnet" and self.drop is not None
        parts = [self.whole(_mean(whole) if averaged else _maximum(whole))]
        if self.dropped is not None:
            parts.append(self.dropped(_maximum(whole)))
        top, bottom = nn.functional.adaptive_avg_pool2d(partial, (2, 1))[:, :, :, 0].unbind(2)
        parts += [self.part(_maximum(partial)), self.top(top), self.bottom(bottom)]
        pooled = _mean(channel) if self.trunk == "osnet" else _maximum(channel)
        for group, neck in zip(pooled[:, :, None, None].chunk(self.groups, dim=1), self.channel, strict=True):
            parts.append(neck(self.shared(group).flatten(1)))
        return torch.cat(parts, dim=1)


def _mean(features: torch.Tensor) -> torch.Tensor:
    return features.mean(dim=(2, 3))


def _maximum(features: torch.Tensor) -> torch.Tensor:
    return features.amax(dim=(2, 3))


def _block(width: int, out: int) -> OmniScaleBlock:
    return OmniScaleBlock(width, out, out // 4, out // 64)


def _osnet_stem() -> nn.Sequential:
    stem, second, third, _ = _WIDTHS
    return nn.Sequential(
        ConvNorm(3, stem, 7, stride=2, padding=3),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Sequential(_block(stem, second), _block(second, second), halving(second)),
        _block(second, third),
    )


def _osnet_branch() -> nn.Sequential:
    *_, third, fourth = _WIDTHS
    return nn.Sequential(
        nn.Sequential(_block(third, third), halving(third)),
        nn.Sequential(_block(third, fourth), _block(fourth, fourth)),
        ConvNorm(fourth, fourth),
    )


def _resnet_stage(width: int, middle: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = nn.Sequential(nn.Conv2d(width, 4 * middle, 1, stride, bias=False), nn.BatchNorm2d(4 * middle))
    first = Bottleneck(width, middle, stride, shortcut)
    return nn.Sequential(first, *(Bottleneck(4 * middle, middle) for _ in range(blocks - 1)))


def _resnet_start() -> list[nn.Module]:
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return [nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), pool]


def _resnet_stem() -> nn.Sequential:
    stages = [_resnet_stage(64, 64, 3, 1), _resnet_stage(256, 128, 4, 2), _resnet_stage(512, 256, 1, 2)[0]]
    return nn.Sequential(*_resnet_start(), *stages)


def _resnet_branch(stride: int) -> nn.Sequential:
    third = nn.Sequential(*(Bottleneck(1024, 256) for _ in range(5)))
    return nn.Sequential(third, _resnet_stage(1024, 512, 3, stride))
