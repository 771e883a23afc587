"""The identity encoder of DG-Net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_WIDEST = 1 << 15


class DGNet(ResNetTrunk):
    """Two embeddings of one pooled feature, one of them for fine details (Zheng et al., CVPR 2019, section 3.2).

    Tensors have the names of `ResNetTrunk`, and `heads.0`, `heads.1` for a linear layer and a batch norm each. The
    feature is both, each of unit length.

    Args:
        width: Of each embedding.
        last_stride: Of the last stage: 1 in the project's settings.
        pool: `max` in the project's settings, or `avg`.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(
        self,
        width: int = 512,
        *,
        last_stride: int = 1,
        pool: str = "max",
        **trunk: Any,  # noqa: ANN401  JSON values, checked by the trunk
    ) -> None:
        super().__init__(last_stride=last_stride, pool=pool, **trunk)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(self.features, width), nn.BatchNorm1d(width)) for _ in range(2)
        )

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk and the embeddings' width."""
        found = ResNetTrunk.structure(tensors)
        head = tensors.get("heads.0.0.weight")
        if found is None or found.options["neck"] or head is None or head.dim() != 2 or head.shape[0] > _WIDEST:
            return None
        return Structure(options={**found.options, "width": head.shape[0]}, input=found.input)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to (N, 2 * width)."""
        pooled = self.pool(self.maps(images)).flatten(1)
        return torch.cat([nn.functional.normalize(head(pooled), dim=1) for head in self.heads], dim=1)
