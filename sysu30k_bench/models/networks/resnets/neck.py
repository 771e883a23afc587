"""What stands between the pooled map and the feature: an embedding layer and a batch norm, each where a file has it."""

from __future__ import annotations

import torch
from torch import nn


class Neck(nn.Module):
    """Embeds, normalises and rectifies a vector; each part is optional.

    Args:
        features: Of the vector that comes in.
        embedding: Of the vector that goes out; 0 for no embedding layer.
        kind: `linear`, or `conv` for a 1 x 1 convolution, whose weight has four dimensions.
        bias: Whether the embedding layer has one.
        norm: Whether a batch norm follows.
        relu: Whether a ReLU ends it.
    """

    def __init__(
        self,
        features: int,
        embedding: int = 0,
        *,
        kind: str = "linear",
        bias: bool = True,
        norm: bool = True,
        relu: bool = False,
    ) -> None:
        super().__init__()
        if embedding:
            if kind not in {"linear", "conv"}:
                raise ValueError(f"an embedding layer is linear or conv, not {kind!r}")
            self.embed: nn.Module = (
                nn.Linear(features, embedding, bias=bias)
                if kind == "linear"
                else nn.Conv2d(features, embedding, 1, bias=bias)
            )
        if norm:
            self.norm = nn.BatchNorm2d(embedding or features)
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, 1, 1) to (N, D)."""
        vector = pooled
        if hasattr(self, "embed"):
            vector = self.embed(vector if isinstance(self.embed, nn.Conv2d) else vector.flatten(1))
            vector = vector.flatten(1)[:, :, None, None]
        if hasattr(self, "norm"):
            vector = self.norm(vector)
        closed: torch.Tensor = self.relu(vector).flatten(1)
        return closed
