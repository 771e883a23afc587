"""torchvision's SqueezeNets: the mean of the last map, and what torchreid puts behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.reading import (
    Tensors,
    embedding_layers,
    embedding_widths,
    none_where_unfit,
    shape_of,
)


class SqueezeNet(nn.Module):
    """SqueezeNet's fire modules; code: KaiyangZhou/deep-person-reid, `torchreid/models/squeezenet.py`.

    Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters (2016).

    Args:
        version: `1_0` or `1_1`.
        embedding: Widths of fully connected layers behind the pooling; none where empty.
    """

    def __init__(self, version: Literal["1_0", "1_1"] = "1_0", embedding: Sequence[int] = ()) -> None:
        super().__init__()
        self.features = models.SqueezeNet(version).features
        self.fc = embedding_layers(512, list(embedding))

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        version = {7: "1_0", 3: "1_1"}[shape_of(tensors, "features.0.weight", 4)[2]]
        return Structure({"version": version, "embedding": embedding_widths(tensors)})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W), normally 256 x 128, to (N, D)."""
        features: torch.Tensor = self.fc(self.features(images).mean(dim=(2, 3)))
        return features
