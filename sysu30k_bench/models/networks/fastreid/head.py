"""The head of fast-reid: pooling, then an embedding layer and a batch norm, each where a file has it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from sysu30k_bench.models.networks.resnets.pools import pool_of


class FastReidHead(nn.Module):
    """Maps a map to the feature that fast-reid tests, its `EmbeddingHead` in evaluation.

    Tensors are named as there: `pool_layer.p`, `bottleneck.0` and `bottleneck.1`.

    Args:
        features: Channels that come in.
        pool: See `pools.Pool`.
        embedding: Features of the embedding layer, 0 for none.
        norm: Whether a batch norm ends it.
    """

    def __init__(self, features: int, pool: str = "avg", embedding: int = 0, *, norm: bool = True) -> None:
        super().__init__()
        self.pool_layer = pool_of(pool)
        layers: list[nn.Module] = [nn.Conv2d(features, embedding, 1, bias=False)] if embedding else []
        if norm:
            layers.append(nn.BatchNorm2d(embedding or features))
        self.bottleneck = nn.Sequential(*layers)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, h, w) to (N, D)."""
        feature: torch.Tensor = self.bottleneck(self.pool_layer(maps)).flatten(1)
        return feature


def head_options(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, object]:
    """Reads a head's options off the tensors below a prefix: `embedding`, `norm`, and `pool` where it is learnt."""
    weight = tensors.get(f"{prefix}bottleneck.0.weight")
    embedding = int(weight.shape[0]) if weight is not None and weight.dim() == 4 else 0
    norm = f"{prefix}bottleneck.{1 if embedding else 0}.running_mean" in tensors
    learnt: dict[str, object] = {"pool": "gem"} if f"{prefix}pool_layer.p" in tensors else {}
    return {"embedding": embedding, "norm": norm, **learnt}


def pixel_statistics(tensors: Mapping[str, torch.Tensor]) -> dict[str, object]:
    """Returns `mean` and `std` for a card's input where a file has them as `pixel_mean` and `pixel_std` (0 to 255)."""
    found: dict[str, object] = {}
    for name, key in (("pixel_mean", "mean"), ("pixel_std", "std")):
        value = tensors.get(name)
        if value is None or value.numel() != 3 or value.is_meta or not value.is_floating_point():
            return {}
        found[key] = [round(float(number), 4) for number in value.flatten()]
    return found
