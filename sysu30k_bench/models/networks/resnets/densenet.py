"""DenseNets of any growth and depth, read off their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.neck import Neck
from sysu30k_bench.models.networks.resnets.reading import neck_options

_MOST_LAYERS = 200
_WIDEST = 1 << 14


class DenseNetTrunk(nn.Module):
    """torchvision's DenseNet (Huang et al., CVPR 2017) with a mean of its last map and a neck where there is one.

    Tensors have torchvision's names (`features.denseblock1.denselayer1.norm1` ...), `neck.embed` and `neck.norm`.

    Args:
        growth: Channels that each layer adds.
        blocks: Layers of each dense block.
        stem: Channels after the stem.
        last_relu: Whether a ReLU follows the last norm, as in torchvision.
        last_stride: Of the pooling before the last block.
        embedding: Features of a linear layer behind the mean; 0 for none.
        embedding_kind: `linear`.
        embedding_bias: Whether it has a bias.
        neck: Whether a batch norm follows.
        neck_relu: Whether a ReLU ends the network.
    """

    def __init__(
        self,
        growth: int = 32,
        blocks: Sequence[int] = (6, 12, 24, 16),
        stem: int = 64,
        *,
        last_relu: bool = True,
        last_stride: int = 2,
        embedding: int = 0,
        embedding_kind: str = "linear",
        embedding_bias: bool = True,
        neck: bool = False,
        neck_relu: bool = False,
    ) -> None:
        super().__init__()
        whole = models.DenseNet(growth_rate=growth, block_config=tuple(blocks), num_init_features=stem, num_classes=1)
        self.features = whole.features
        self.relu = nn.ReLU() if last_relu else nn.Identity()
        if last_stride != 2:
            self.get_submodule(f"features.transition{len(blocks) - 1}.pool").stride = last_stride  # type: ignore[assignment]
        width = whole.classifier.in_features
        self.neck = Neck(width, embedding, kind=embedding_kind, bias=embedding_bias, norm=neck, relu=neck_relu)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads growth, depth and the neck; None where the tensors are no DenseNet's."""
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        try:
            options = _read(shapes)
        except (KeyError, IndexError):
            return None
        return None if options is None else Structure(options=options)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to (N, D)."""
        maps = self.relu(self.features(images))
        feature: torch.Tensor = self.neck(maps.mean(dim=(2, 3), keepdim=True))
        return feature


class TorchreidDenseNet(DenseNetTrunk):
    """torchreid's DenseNets: an embedding layer (fc512) ends in a ReLU."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk; None for ImageNet's thousand classes, which are torchvision's own file."""
        found = DenseNetTrunk.structure(tensors)
        if found is None or bool(found.options.get("embedding")) != bool(found.options["neck"]):
            return None
        classifier = tensors.get("classifier.weight")
        if classifier is None or (classifier.dim() == 2 and classifier.shape[0] == 1000):
            return None
        return Structure(options={**found.options, "neck_relu": found.options["neck"]})


def _read(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object] | None:
    blocks: list[int] = []
    while len(blocks) < 8 and f"features.denseblock{len(blocks) + 1}.denselayer1.conv1.weight" in shapes:
        prefix = f"features.denseblock{len(blocks) + 1}.denselayer"
        layers = 1
        while f"{prefix}{layers + 1}.conv1.weight" in shapes and layers < _MOST_LAYERS:
            layers += 1
        blocks.append(layers)
    growth = shapes["features.denseblock1.denselayer1.conv2.weight"][0]
    stem = shapes["features.conv0.weight"][0]
    if len(blocks) < 2 or not 0 < growth <= _WIDEST or not 0 < stem <= _WIDEST or sum(blocks) * growth > 1 << 17:
        return None
    neck = {name: value for name, value in neck_options(shapes).items() if name != "pool"}
    if int(shapes.get("neck.embed.weight", (1,))[0]) > _WIDEST:
        return None
    return {"growth": growth, "blocks": blocks, "stem": stem, **neck}
