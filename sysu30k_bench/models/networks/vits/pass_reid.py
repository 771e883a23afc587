"""PASS: a vision transformer with three part tokens beside the class token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.reading import read_structure
from sysu30k_bench.models.networks.vits.vit import VisionTransformer

_TOKENS = ("cls_token", "part_token1", "part_token2", "part_token3")
_PLACES = ("cls_pos", "part1_pos", "part2_pos", "part3_pos")
_NECKS = ("bottleneck", "bottleneck_pt1", "bottleneck_pt2", "bottleneck_pt3")

Fusion = Literal["cat", "mean"]
Necks = Literal["none", "one", "each"]


class PassReID(nn.Module):
    """PASS (Zhu et al., PASS: Part-Aware Self-Supervised Pre-Training for Person Re-Identification, ECCV 2022).

    Global feature and the mean of three part features, joined (`cat`) or averaged (`mean`): CASIA-IVA-Lab/PASS-reID,
    whose supervised part tests before its necks, and whose unsupervised part tests after them, at unit length.

    Args:
        trunk: Options of the `VisionTransformer`.
        fusion: How global and part features become one.
        necks: `none`; `one` after the fusion; `each` feature before it, brought to unit length.
    """

    def __init__(self, trunk: dict[str, object] | None = None, fusion: Fusion = "cat", necks: Necks = "none") -> None:
        super().__init__()
        self.base = VisionTransformer(**(trunk or {}))  # type: ignore[arg-type]
        dim = self.base.dim
        for name in (*_TOKENS[1:], *_PLACES):
            self.base.register_parameter(name, nn.Parameter(torch.zeros(1, 1, dim)))
        self.fusion, self.necks = fusion, necks
        if necks == "one":
            self.bottleneck = nn.BatchNorm1d(2 * dim if fusion == "cat" else dim)
        if necks == "each":
            for name in _NECKS:
                self.add_module(name, nn.BatchNorm1d(dim))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network.

        The fusion is read off the classifier, or the neck, whose input is twice the trunk's width where features are
        joined.
        """
        inner = {name.removeprefix("base."): value for name, value in tensors.items() if name.startswith("base.")}
        found = read_structure(inner, person_first=True)
        if found is None or found.options.get("placed") != 0 or not all(name in inner for name in _TOKENS):
            return None
        dim = int(inner["cls_token"].shape[-1])
        head, neck = tensors.get("classifier.weight"), tensors.get("bottleneck.weight")
        wide = [value.shape[-1] for value in (head, neck) if value is not None and value.dim()]
        fusion = "cat" if not wide or 2 * dim in wide else "mean" if set(wide) == {dim} and head is not None else None
        notes = list(found.notes)
        if fusion is None:
            several = "bottleneck_1.weight" in tensors or "bottleneck_pt1.weight" in tensors
            fusion = "cat" if several else "mean"
            notes += ["features were taken to be joined, as by default: the file does not tell"] * several
        return Structure({"trunk": found.options, "fusion": fusion}, found.input, notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: Normalised, (N, 3, H, W).

        Returns:
            (N, 2 D) with `cat`, (N, D) with `mean`.
        """
        base, batch = self.base, len(images)
        maps = base.patch_embed(images)
        grid = base.grid or list(maps.shape[2:])
        patches = maps.flatten(2).transpose(1, 2) + base.positions(grid, *maps.shape[2:])[:, base.leading :]
        pairs = zip(_TOKENS, _PLACES, strict=True)
        first = [base.get_parameter(token) + base.get_parameter(place) for token, place in pairs]
        tokens = torch.cat([*(token.expand(batch, -1, -1) for token in first), patches], dim=1)
        features = base.norm(base.through(tokens))[:, : len(_TOKENS)].unbind(dim=1)
        if self.necks == "each":
            necks = [self.get_submodule(name) for name in _NECKS]
            features = tuple(functional.normalize(neck(feature)) for neck, feature in zip(necks, features, strict=True))
        parts = features[1] / 3 + features[2] / 3 + features[3] / 3
        fused = torch.cat((features[0], parts), dim=1) if self.fusion == "cat" else (features[0] + parts) / 2
        return functional.normalize(self.bottleneck(fused)) if self.necks == "one" else fused


class PassCluster(PassReID):
    """PASS's unsupervised part: the feature is taken after the necks."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found = PassReID.structure(tensors)
        if found is None or "bottleneck.weight" not in tensors:
            return None
        necks = "each" if "bottleneck_pt1.weight" in tensors else "one"
        return Structure(found.options | {"necks": necks}, found.input, found.notes)
