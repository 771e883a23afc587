"""Vision transformers whose re-ID feature lies behind further layers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.reading import read_structure
from sysu30k_bench.models.networks.vits.vit import VisionTransformer

_WIDEST = 16384


class ClusterVit(nn.Module):
    """A class token and the batch normalisation behind it (cluster-contrast in damo-cv/TransReID-SSL and PersonViT).

    Args:
        trunk: Options of the `VisionTransformer`.
    """

    def __init__(self, trunk: dict[str, object] | None = None) -> None:
        super().__init__()
        self.base = VisionTransformer(**(trunk or {}))  # type: ignore[arg-type]
        self.bottleneck = nn.BatchNorm1d(self.base.dim)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found = read_structure(_below(tensors, "base."), person_first=True)
        return None if found is None else Structure({"trunk": found.options}, found.input, found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images, (N, 3, H, W), to features, (N, D)."""
        output: torch.Tensor = self.bottleneck(self.base(images))
        return output


class LayumiVit(nn.Module):
    """A timm transformer's mean token, a linear layer and a batch normalisation (layumi's re-ID baseline, DINOv3).

    Args:
        trunk: Options of the `VisionTransformer`.
        features: Width of the linear layer.
    """

    def __init__(self, trunk: dict[str, object] | None = None, features: int = 512) -> None:
        super().__init__()
        self.model = VisionTransformer(**(trunk or {}))  # type: ignore[arg-type]
        self.add_block = nn.Sequential(nn.Linear(self.model.dim, features), nn.BatchNorm1d(features))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found, linear = read_structure(_below(tensors, "model."), person_first=True), tensors.get("add_block.0.weight")
        if found is None or linear is None or linear.dim() != 2 or not 0 < len(linear) <= _WIDEST:
            return None
        trunk = found.options | {"pool": "all"}
        return Structure({"trunk": trunk, "features": len(linear)}, found.input, found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images, (N, 3, H, W), to features, (N, F)."""
        output: torch.Tensor = self.add_block(self.model(images))
        return output


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
