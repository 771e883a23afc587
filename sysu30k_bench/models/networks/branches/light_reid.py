"""light-reid's network: a batch norm, and a reduction behind it where the head has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk


class LightReID(ResNetTrunk):
    """wangguanan/light-reid's base model with its batch norm head.

    Tensors have the names of `ResNetTrunk`; `first` is the batch norm behind the pooling, `neck` what reduces its
    result. A file whose head makes binary codes is not taken.

    Args:
        last_stride: Of the last stage.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(self, *, last_stride: int = 1, **trunk: Any) -> None:  # noqa: ANN401  JSON values
        super().__init__(last_stride=last_stride, **trunk)
        self.first = nn.BatchNorm2d(self.features)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk; None where the head is one for binary codes."""
        found = ResNetTrunk.structure(tensors)
        code = tensors.get("head.is_hash")
        if found is None or found.options.get("non_local"):
            return None
        if code is not None and not code.is_meta and code.numel() == 1 and bool(code.item()):
            return None
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to (N, D)."""
        feature: torch.Tensor = self.neck(self.first(self.pool(self.maps(images))))
        return feature
