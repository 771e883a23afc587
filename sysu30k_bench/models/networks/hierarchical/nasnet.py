"""NASNet-A Large as the package `pretrainedmodels` pads it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.trunks import TimmTrunk

_ARCHITECTURE = "nasnetalarge"


class _HalvingMean(nn.Module):
    """Means of 3 x 3 places at every second place, of those within the map alone."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H / 2, W / 2)."""
        return functional.avg_pool2d(maps, 3, 2, ceil_mode=True, count_include_pad=False)


class NASNet(nn.Module):
    """NASNet-A Large (https://arxiv.org/abs/1707.07012): the mean of its last map, before that map's ReLU.

    timm has the same tensors and pads every layer of stride 2 as TensorFlow does. Cadene/pretrained-models.pytorch
    pads on all sides alike but for its first reduction cell, and leaves padding out of that cell's means; layumi's
    baseline, which uses that package, skips the last ReLU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = TimmTrunk(_ARCHITECTURE).trunk
        self.trunk.act = nn.Identity()
        for cell in ("cell_stem_0", "cell_stem_1", "reduction_cell_1"):
            _pad_all_sides(self.trunk.get_submodule(cell))
        self.trunk.get_submodule("reduction_cell_0").comb_iter_2_left = _HalvingMean()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Says whether the tensors are this network's.

        Args:
            tensors: The file's tensors by timm's names below `trunk.`.

        Returns:
            No options; None where the tensors are of another network.
        """
        if "trunk.cell_stem_1.path_2.conv.weight" not in tensors:
            return None
        found = TimmTrunk.structure(tensors)
        return Structure() if found is not None and found.options["architecture"] == _ARCHITECTURE else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        pooled: torch.Tensor = self.trunk(images)
        return pooled


def _pad_all_sides(cell: nn.Module) -> None:
    """Replaces the layers of stride 2 of a cell that timm pads by the image's size."""
    for path, module in list(cell.named_modules()):
        parent, _, name = path.rpartition(".")
        if not path or _first(getattr(module, "stride", 1)) != 2 or _first(getattr(module, "kernel_size", 1)) == 1:
            continue
        layer: nn.Module
        if isinstance(module, nn.Conv2d):
            before, after, side = module.in_channels, module.out_channels, module.kernel_size[0]
            layer = nn.Conv2d(before, after, side, 2, side // 2, groups=module.groups, bias=False)
        elif isinstance(module, nn.MaxPool2d):
            layer = nn.MaxPool2d(3, 2, 1)
        else:
            layer = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        setattr(cell.get_submodule(parent), name, layer)


def _first(size: object) -> object:
    return size[0] if isinstance(size, tuple | list) else size
