"""Two asymmetric branches on one residual network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.blocks import BlockForm, Bottleneck
from sysu30k_bench.models.networks.resnets.neck import Neck
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_SHARED = re.compile(r"base\.(\d)\.(.+)")


class AsymmetricBranches(ResNetTrunk):
    """A mean of the last stage, and a maximum of a copy of it that is one block deeper (Chen et al., WACV 2021).

    Tensors have the names of `ResNetTrunk` for stem, last stage and neck of the first branch; the shared stages are
    `base.N` as in chenhao2345/ABMT, and the second branch is `max_branch.0`, `max_branch.1` and `max_neck`.

    Args:
        first: Number of the first stage in `base`: 4 where a ReLU follows the stem, 3 where none does.
        last_stride: Of the last stage.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(self, first: int = 3, *, last_stride: int = 1, **trunk: Any) -> None:  # noqa: ANN401  JSON values
        super().__init__(**{"neck": True, **trunk, "last_stride": last_stride, "stem_relu": first == 4})
        other = ResNetTrunk(**{**trunk, "last_stride": last_stride})
        form = BlockForm(self.features, self.features // 4, self.features // 4, self.features)
        self.max_branch = nn.Sequential(other.get_submodule("layer4"), Bottleneck(form))
        embedding, bias = int(trunk.get("embedding", 0)), bool(trunk.get("embedding_bias", True))
        self.max_neck = Neck(self.features, embedding, bias=bias)
        self.base = nn.ModuleDict({str(first + at): self.get_submodule(f"layer{at + 1}") for at in range(3)})
        for at in range(3):
            delattr(self, f"layer{at + 1}")
        self.first = first

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, and whether its stages begin at 3 or at 4."""
        numbers = sorted({int(found[1]) for name in tensors if (found := _SHARED.fullmatch(name))})
        if numbers not in ([3, 4, 5], [4, 5, 6]):
            return None
        named = {}
        for name, tensor in tensors.items():
            found = _SHARED.fullmatch(name)
            named[f"layer{int(found[1]) - numbers[0] + 1}.{found[2]}" if found else name] = tensor
        trunk = ResNetTrunk.structure(named)
        if trunk is None or trunk.options["block"] != "bottleneck" or not trunk.options["neck"]:
            return None
        return Structure(options={**trunk.options, "first": numbers[0]}, input=trunk.input)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to both branches' features, joined (N, 2 * D)."""
        maps = self.stem_maps(images)
        for stage in self.base.values():
            maps = stage(maps)
        mean = self.neck(self.pool(self.get_submodule("layer4")(maps)))
        highest = self.max_neck(self.max_branch(maps).amax(dim=(2, 3), keepdim=True))
        return torch.cat([mean, highest], dim=1)
