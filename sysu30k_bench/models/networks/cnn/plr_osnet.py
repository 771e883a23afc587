"""PLR-OSNet: OSNet with attention and two branches, one for four stripes and one for the whole."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.osnet import ConvNorm, OmniScaleBlock, halving
from sysu30k_bench.models.networks.cnn.reading import Tensors, none_where_unfit, shape_of

_STRIPES = 4


class PositionAttention(nn.Module):
    """Adds to each place what similar places hold, normalised (DANet's position attention)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(width, width // 8, 1)
        self.key_conv = nn.Conv2d(width, width // 8, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.bn = nn.BatchNorm2d(width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to the same shape."""
        query, key = self.query_conv(features).flatten(2), self.key_conv(features).flatten(2)
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        gathered = (features.flatten(2) @ weights.transpose(1, 2)).view_as(features)
        attended: torch.Tensor = self.bn(self.gamma * gathered) + features
        return attended


class PlaceGate(nn.Module):
    """Squeeze-and-excitation without the squeeze: a weight for each channel at each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, width // 16, 1)
        self.fc2 = nn.Conv2d(width // 16, width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to the same shape."""
        return features * torch.sigmoid(self.fc2(torch.relu(self.fc1(features))))


def _attention(width: int) -> nn.Sequential:
    layers = nn.Sequential()
    layers.add_module("pam", PositionAttention(width))
    layers.add_module("se", PlaceGate(width))
    return layers


class PLROSNet(nn.Module):
    """Four stripes' means and the whole's maximum, each behind its batch norm, both of unit length.

    Xie et al., Learning Diverse Features with Part-Level Resolution for Person Re-Identification (PRCV 2020); code:
    AI-NERC-NUPT/PLR-OSNet, `torchreid/models/plr_osnet.py`.

    Args:
        features: Width of the whole's feature.
    """

    def __init__(self, features: int = 512) -> None:
        super().__init__()
        self.layer0 = nn.Sequential(ConvNorm(3, 64, 7, stride=2, padding=3), nn.MaxPool2d(3, stride=2, padding=1))
        self.layer1 = _stage(64, 256).append(halving(256))
        self.attention_module1 = _attention(256)
        self.layer2 = _stage(256, 384).append(halving(384))
        self.attention_module2 = _attention(384)
        self.layer30, self.layer31 = _stage(384, 512), _stage(384, 512)
        self.layer40, self.layer41 = ConvNorm(512, 512), ConvNorm(512, 512)
        self.fc2 = nn.Linear(512, features)
        self.bn1 = nn.BatchNorm1d(_STRIPES * 512)
        self.bn2 = nn.BatchNorm1d(features)

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        return Structure({"features": shape_of(tensors, "fc2.weight", 2)[0]})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        common = self.attention_module1(self.layer1(self.layer0(images)))
        common = self.attention_module2(self.layer2(common))
        striped, whole = self.layer40(self.layer30(common)), self.layer41(self.layer31(common))
        height = striped.shape[2]
        cuts = [0, height // 4, height // 2, 3 * height // 4, height]
        stripes = [striped[:, :, top:bottom].mean(dim=(2, 3)) for top, bottom in pairwise(cuts)]
        first = self.bn1(torch.cat(stripes, dim=1))
        second = self.bn2(self.fc2(whole.amax(dim=(2, 3))))
        return torch.cat([nn.functional.normalize(first), nn.functional.normalize(second)], dim=1)


def _stage(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(*(OmniScaleBlock(before, out, out // 4, out // 64) for before in (width, out)))
