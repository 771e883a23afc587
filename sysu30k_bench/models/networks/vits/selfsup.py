"""Vision transformers of self-supervised projects that say less in their tensors than their code does."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.reading import read_structure
from sysu30k_bench.models.networks.vits.vit import MOCO_HEADS, VisionTransformer

_SMALL = (192, 384)
_TRAINED_AT = 518


class TwelveHeads(VisionTransformer):
    """The transformers of MoCo v3 and of solo-learn's MAE, whose tiny and small ones have 12 heads as well.

    Elsewhere they have 3 and 6, and no tensor tells (facebookresearch/moco-v3, vits.py; vturrisi/solo-learn,
    vit_mocov3.py and vit_mae.py; Chen et al., An Empirical Study of Training Self-Supervised Vision Transformers,
    ICCV 2021, table 1).
    """

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found = read_structure(tensors)
        if found is None or found.options["dim"] not in _SMALL:
            return found
        return Structure(found.options | {"heads": MOCO_HEADS}, found.input, found.notes)


class DinoV2(VisionTransformer):
    """DINOv2, whose released transformers were last trained at 518 x 518 and are run at any size.

    Their 37 x 37 positions are interpolated as the project's hub models do: with an offset of 0.1 and no filter, or
    with a filter and no offset where there are register tokens (facebookresearch/dinov2, hub/backbones.py).
    """

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found = read_structure(tensors)
        if found is None or "grid" not in found.options:
            return found
        options = found.options
        if options["registers"]:
            options = options | {"offset": 0.0, "antialias": True}
        if found.input.get("height") != _TRAINED_AT:
            return Structure(options, found.input, found.notes)
        note = f"positions of {_TRAINED_AT} x {_TRAINED_AT} pixels, interpolated to the input's size"
        return Structure(options, {}, [*found.notes, note])
