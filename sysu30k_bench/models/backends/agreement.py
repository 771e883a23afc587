"""How far a backend's embeddings may be from those of the network itself."""

from __future__ import annotations

import torch

from sysu30k_bench.models.backends.contract import pieces
from sysu30k_bench.models.embedder import Embedder

FP32_LIMIT = 1e-6
"""Largest cosine distance to eager float32 of a backend in float32. Rounding makes 1e-12 to 1e-9; what is within this
limit is also within that of an audit, which encodes again in eager (sqrt(2e-6) = 1.4e-3, of 2e-3)."""
BF16_LIMIT = 1e-4
"""The same in bfloat16, unless torch's own bfloat16 is further than half of it from float32."""


def cosine_distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Returns the largest cosine distance between rows of two batches of unit vectors, (N, D) each.

    Half the squared distance: 1 - cos of nearly equal float32 rows would be rounding alone. NaN where a row is NaN.
    """
    return float(0.5 * (one.double() - other.double()).square().sum(dim=1).max())


class Reference:
    """What eager says of some images, and how far others may be from it.

    Args:
        embedder: The network; what runs it now is left as it is.
        images: (N, 3, H, W) uint8 on the network's device.
        batch: Images in one forward pass.
    """

    def __init__(self, embedder: Embedder, images: torch.Tensor, batch: int) -> None:
        self.images = images
        self._batch = batch
        with embedder.eager():
            plain = self._embedded(embedder)
            self.vectors, self.limit = plain, FP32_LIMIT
            if embedder.bf16:
                with embedder.in_float32():
                    self.vectors = self._embedded(embedder)
                self.limit = max(BF16_LIMIT, 2 * cosine_distance(plain, self.vectors))

    def distance(self, embedder: Embedder) -> float:
        """Returns how far the embedder, as it runs now, is from eager float32."""
        return cosine_distance(self._embedded(embedder), self.vectors)

    def _embedded(self, embedder: Embedder) -> torch.Tensor:
        return torch.cat([embedder(part) for part in pieces(self.images, self._batch)]).cpu()
