"""torchreid's residual networks, and what its model names fix beyond the tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_WIDEST = 1 << 15


class TorchreidResNet(ResNetTrunk):
    """ResNet, ResNeXt, IBN-a, IBN-b, SE-ResNet, SE-ResNeXt and SENet of KaiyangZhou/deep-person-reid.

    Tensors have the names of `ResNetTrunk`. In its list of models an embedding layer (fc512) goes with a last stride of
    1 and ends in a ReLU, all others have a last stride of 2; the SE networks pool their stem as Caffe does, and those
    without groups have their stride in a block's first convolution.
    """

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, and sets stride, ReLU and stem by torchreid's list of models."""
        found = ResNetTrunk.structure(tensors)
        if found is None:
            return None
        options = dict(found.options)
        embedded = bool(options.get("embedding"))
        if embedded != bool(options["neck"]):
            return None
        options["last_stride"] = 1 if embedded else 2
        options["neck_relu"] = embedded
        if options.get("se"):
            options["stem_pool"] = "ceil"
            options["early_stride"] = set(options["groups"]) == {1}  # type: ignore[call-overload]
        return Structure(options=options, input=found.input, notes=found.notes)


class TorchreidResNetMid(ResNetTrunk):
    """Means of the last stage's blocks but the last, joined and embedded, beside that of the last (resnet50mid).

    Yu et al., The Devil is in the Middle, 2017, section 3.2. `fusion` has a linear layer, a batch norm and a ReLU for
    each of its widths.

    Args:
        fusion: Widths of the embedding's layers.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(self, fusion: Sequence[int] = (1024,), **trunk: Any) -> None:  # noqa: ANN401  JSON values
        super().__init__(**trunk)
        blocks = len(self.get_submodule("layer4")) - 1  # type: ignore[arg-type]
        layers: list[nn.Module] = []
        features = self.features * blocks
        for width in fusion:
            layers += [nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU()]
            features = width
        self.fusion = nn.Sequential(*layers)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk and the embedding's widths."""
        found = ResNetTrunk.structure(tensors)
        fusion: list[int] = []
        while len(fusion) < 9 and f"fusion.{3 * len(fusion)}.weight" in tensors:
            shape = tuple(tensors[f"fusion.{3 * len(fusion)}.weight"].shape)
            if len(shape) != 2 or not 0 < shape[0] <= _WIDEST:
                return None
            fusion.append(shape[0])
        if found is None or not fusion or found.options["neck"]:
            return None
        return Structure(options={**found.options, "fusion": fusion}, input=found.input, notes=found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to (N, the embedding's width + C)."""
        maps = self.stem_maps(images)
        for number in range(1, self.stages):
            maps = self.stage(number, maps)
        means = []
        for block in self.get_submodule("layer4").children():
            maps = block(maps)
            means.append(maps.mean(dim=(2, 3)))
        return torch.cat([self.fusion(torch.cat(means[:-1], dim=1)), means[-1]], dim=1)
