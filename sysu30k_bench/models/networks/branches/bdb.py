"""Networks with a branch that training drops a band of: batch drop block and its successor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.blocks import BlockForm, Bottleneck
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_WIDEST = 1 << 15
_MOST_BLOCKS = 8


class BatchDropBlock(ResNetTrunk):
    """A global feature, and the maximum of a deeper map (Dai et al., Batch DropBlock Network, ICCV 2019, figure 2).

    Tensors have the names of `ResNetTrunk`; `drop.N` are the blocks of the second branch, `whole` and `part` the
    reductions of both, `whole_norm` and `part_norm` the batch norms that the neck forms of top-dropblock add.

    Args:
        extra: Blocks of the second branch.
        whole_width: Of the global feature.
        part_width: Of the other; 0 for the map's mean without a reduction.
        norms: Whether batch norms end both.
        last_stride: Of the last stage.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(
        self,
        extra: int = 1,
        whole_width: int = 512,
        part_width: int = 1024,
        *,
        norms: bool = False,
        last_stride: int = 1,
        **trunk: Any,  # noqa: ANN401  JSON values, checked by the trunk
    ) -> None:
        super().__init__(last_stride=last_stride, **trunk)
        inner = self.features // 4
        form = BlockForm(self.features, inner, inner, self.features)
        self.drop = nn.Sequential(*(Bottleneck(form) for _ in range(extra)))
        self.whole = nn.Sequential(nn.Conv2d(self.features, whole_width, 1), nn.BatchNorm2d(whole_width), nn.ReLU())
        if part_width:
            self.part = nn.Sequential(nn.Linear(self.features, part_width), nn.BatchNorm1d(part_width), nn.ReLU())
        self.whole_norm = nn.BatchNorm1d(whole_width) if norms else nn.Identity()
        self.part_norm = nn.BatchNorm1d(part_width or self.features) if norms else nn.Identity()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, the blocks of the second branch, and both widths."""
        found = ResNetTrunk.structure(tensors)
        whole, part = tensors.get("whole.0.weight"), tensors.get("part.0.weight")
        extra = 0
        while extra < _MOST_BLOCKS and f"drop.{extra}.conv1.weight" in tensors:
            extra += 1
        if found is None or found.options["neck"] or whole is None or not extra or whole.dim() != 4:
            return None
        widths = {"whole_width": whole.shape[0], "part_width": 0 if part is None else part.shape[0]}
        if max(widths.values()) > _WIDEST or found.options["block"] != "bottleneck":
            return None
        options: dict[str, object] = {
            **found.options,
            **widths,
            "extra": extra,
            "norms": "whole_norm.running_mean" in tensors,
        }
        return Structure(options=options, input=found.input, notes=found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to both features, joined."""
        maps = self.maps(images)
        whole = self.whole(maps.mean(dim=(2, 3), keepdim=True)).flatten(1)
        deeper = self.drop(maps)
        part = self.part(deeper.amax(dim=(2, 3))) if hasattr(self, "part") else deeper.mean(dim=(2, 3))
        return torch.cat([self.whole_norm(whole), self.part_norm(part)], dim=1)
