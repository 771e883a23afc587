"""A staged trunk with the layers that a re-ID project put behind it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.convnext import ConvNeXt
from sysu30k_bench.models.networks.hierarchical.efficientnet import EfficientNet
from sysu30k_bench.models.networks.hierarchical.nasnet import NASNet
from sysu30k_bench.models.networks.hierarchical.shapes import shape_of
from sysu30k_bench.models.networks.hierarchical.swin import Swin
from sysu30k_bench.models.networks.hierarchical.trunks import TimmTrunk, below

_KINDS: dict[str, type[Swin | ConvNeXt | EfficientNet | NASNet | TimmTrunk]] = {
    "swin": Swin,
    "convnext": ConvNeXt,
    "efficientnet": EfficientNet,
    "nasnet": NASNet,
    "timm": TimmTrunk,
}
_PERSON = [256, 128]


class Necked(nn.Module):
    """A trunk, a linear layer where the file has one, and a batch normalisation where the file has one.

    The trunk's tensors lie below `trunk.`, those of the layers behind it below `neck.0.` and `neck.1.`, as in
    layumi/Person_reID_baseline_pytorch's class block.

    Args:
        kind: `swin`, `convnext`, `efficientnet` (of `efficientnet_pytorch`), `nasnet` (of `pretrainedmodels`), `timm`.
        trunk: Options of that trunk.
        width: Channels of the trunk's feature.
        linear: Channels of the linear layer; 0 for none.
        normalised: Whether a batch normalisation comes last.
    """

    def __init__(
        self,
        kind: str = "convnext",
        trunk: Mapping[str, object] | None = None,
        width: int = 768,
        linear: int = 512,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        options: dict[str, object] = dict(trunk or {})
        build: type[nn.Module] = _KINDS[kind]
        self.trunk = build(**options)
        layers: list[nn.Module] = [nn.Linear(width, linear)] if linear else []
        if normalised:
            layers.append(nn.BatchNorm1d(linear or width))
        self.neck = nn.Sequential(*layers)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Finds the kind of trunk and the layers behind it.

        Args:
            tensors: The file's tensors, the trunk's below `trunk.` and the others below `neck.`.

        Returns:
            The options, and for Swin transformers the input size; None where no trunk fits.
        """
        inner = below(tensors, "trunk.")
        linear, width = shape_of(tensors, "neck.0.weight", 2)
        place = 1 if linear else 0
        normalised = shape_of(tensors, f"neck.{place}.running_mean", 1)[0]
        if (linear or normalised) == 0 or (linear and normalised and linear != normalised):
            return None
        for kind, network in _KINDS.items():
            found = network.structure(inner)
            if found is not None:
                trunk, size = _settled(kind, found)
                behind = {"width": width or normalised, "linear": linear, "normalised": normalised > 0}
                return Structure({"kind": kind, "trunk": trunk, **behind}, input=size, notes=found.notes)
        return None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        feature: torch.Tensor = self.neck(self.trunk(images))
        return feature


def _settled(kind: str, found: Structure) -> tuple[dict[str, object], dict[str, object]]:
    """Returns the trunk's options and the input size: a trunk's own statistics are not the project's."""
    options = dict(found.options)
    architecture = str(options.get("architecture", ""))
    if architecture.startswith("swinv2"):
        options["img_size"] = _PERSON
    return options, found.input if kind == "swin" else {}
