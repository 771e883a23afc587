"""layumi's residual network with or without its salience modules, and DG-Net's two heads on the same network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_BORDER = 1


class LayumiResNet(ResNetTrunk):
    """ResNet-50, IBN-a or not, of layumi/Person_reID_baseline_pytorch (`ft_net`).

    Tensors have the names of `ResNetTrunk`, and `usam_1`, `usam_2` where the network was trained with `--usam`.

    Args:
        usam: Whether salience follows the stem's ReLU and the first stage.
        last_stride: Of the last stage, which only `opts.yaml` tells.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(self, *, usam: bool = False, last_stride: int = 2, **trunk: Any) -> None:  # noqa: ANN401  JSON values
        super().__init__(last_stride=last_stride, **trunk)
        if usam:
            self.usam_1 = Salience()
            self.usam_2 = Salience()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, and whether there is salience."""
        found = ResNetTrunk.structure(tensors)
        if found is None:
            return None
        return Structure(options={**found.options, "usam": "usam_1.weight" in tensors}, input=found.input)

    def stem_maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (N, 3, H, W) to the first stage's input."""
        maps = self.relu(self.bn1(self.conv1(images)))
        if hasattr(self, "usam_1"):
            maps = self.usam_1(maps)
        pooled: torch.Tensor = self.maxpool(maps)
        return pooled

    def stage(self, number: int, maps: torch.Tensor) -> torch.Tensor:
        """Runs one stage, counted from 1."""
        maps = super().stage(number, maps)
        if number == 1 and hasattr(self, "usam_2"):
            maps = self.usam_2(maps)
        return maps


class Salience(nn.Module):
    """Adds to a map itself times what stands out of its neighbourhood, but for a border of one place.

    Lin et al., Joint Representation Learning and Keypoint Detection for Cross-view Geo-localization, TIP 2022: the sum
    over channels, times the neighbourhood's size, minus the neighbourhood's sum.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1, 3, 3))
        self.weight2 = nn.Parameter(torch.full((1, 1, 1, 1), 9.0))
        self.bn = nn.BatchNorm2d(1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to the same shape."""
        total = maps.sum(dim=1, keepdim=True)
        apart = nn.functional.conv2d(total, self.weight2) - nn.functional.conv2d(total, self.weight, padding=1)
        salient = nn.functional.leaky_relu(self.bn(apart), 0.1)
        inner = salient[:, :, _BORDER:-_BORDER, _BORDER:-_BORDER]
        return maps + nn.functional.pad(inner, (_BORDER,) * 4) * maps
