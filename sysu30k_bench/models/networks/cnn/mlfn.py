"""MLFN: residual blocks whose groups are chosen for each image; the choices are part of the feature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.reading import Tensors, count_of, demand, none_where_unfit, shape_of

_WIDTHS = (256,) * 3 + (512,) * 4 + (1024,) * 6 + (2048,) * 3
_HIDDEN = ((128, 64),) * 3 + ((256, 128),) * 4 + ((512, 128),) * 9


class FactorBlock(nn.Module):
    """A bottleneck of grouped convolutions, each group weighted by a factor of the image (section 3.1).

    Args:
        width: Channels that come in.
        out: Channels that go out.
        stride: Of the block.
        hidden: Widths of the factor selection's two hidden layers.
        groups: Number of factors.
    """

    def __init__(self, width: int, out: int, stride: int, hidden: Sequence[int], groups: int) -> None:
        super().__init__()
        middle = out // 2
        self.fm_conv1 = nn.Conv2d(width, middle, 1, bias=False)
        self.fm_bn1 = nn.BatchNorm2d(middle)
        self.fm_conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, groups=groups, bias=False)
        self.fm_bn2 = nn.BatchNorm2d(middle)
        self.fm_conv3 = nn.Conv2d(middle, out, 1, bias=False)
        self.fm_bn3 = nn.BatchNorm2d(out)
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)]
        for before, after in zip([width, *hidden], [*hidden, groups], strict=True):
            layers += [nn.Conv2d(before, after, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.fsm = nn.Sequential(*layers[:-1], nn.Sigmoid())
        self.downsample: nn.Module = nn.Identity()
        if width != out or stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (N, width, h, w) to (N, out, h', w'), and the factors (N, groups, 1, 1)."""
        factors = self.fsm(features)
        residual = torch.relu(self.fm_bn1(self.fm_conv1(features)))
        residual = torch.relu(self.fm_bn2(self.fm_conv2(residual)))
        residual = residual * factors.repeat_interleave(residual.shape[1] // factors.shape[1], dim=1)
        residual = torch.relu(self.fm_bn3(self.fm_conv3(residual)))
        return torch.relu(self.downsample(features) + residual), factors


class MLFN(nn.Module):
    """Half the sum of what the last map's mean and what all blocks' factors are projected to.

    Chang et al., Multi-Level Factorisation Net for Person Re-Identification (CVPR 2018); code:
    KaiyangZhou/deep-person-reid, `torchreid/models/mlfn.py`.

    Args:
        stem: Channels of the first convolution.
        widths: Channels of each block.
        hidden: Widths of each block's factor selection.
        groups: Number of factors of a block.
        features: Width of the feature.
    """

    def __init__(
        self,
        stem: int = 64,
        widths: Sequence[int] = _WIDTHS,
        hidden: Sequence[Sequence[int]] = _HIDDEN,
        groups: int = 32,
        features: int = 1024,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.feature = nn.ModuleList()
        before = stem
        for i, (width, inner) in enumerate(zip(widths, hidden, strict=True)):
            self.feature.append(FactorBlock(before, width, 2 if i > 0 and width != before else 1, inner, groups))
            before = width
        self.fc_x = _projection(before, features)
        self.fc_s = _projection(groups * len(widths), features)

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        blocks = [f"feature.{i}." for i in range(count_of(tensors, "feature.{}.fm_conv3.weight"))]
        selections = [[shape_of(tensors, f"{block}fsm.{i}.weight", 4)[0] for i in (1, 4)] for block in blocks]
        widths = [shape_of(tensors, block + "fm_conv3.weight", 4)[0] for block in blocks]
        groups = shape_of(tensors, "feature.0.fsm.7.weight", 4)[0]
        demand(bool(blocks), all(width % (2 * groups) == 0 for width in widths))
        return Structure(
            {
                "stem": shape_of(tensors, "conv1.weight", 4)[0],
                "widths": widths,
                "hidden": selections,
                "groups": groups,
                "features": shape_of(tensors, "fc_x.0.weight", 4)[0],
            }
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        features = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        factors = []
        for block in self.feature:
            features, chosen = block(features)
            factors.append(chosen)
        projected: torch.Tensor = self.fc_x(features.mean(dim=(2, 3), keepdim=True)) + self.fc_s(torch.cat(factors, 1))
        return projected.flatten(1) * 0.5


def _projection(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
