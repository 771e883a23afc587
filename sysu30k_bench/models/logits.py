r"""Classifier logits as an embedding, in their own space or in the shorter one of the same geometry.

The official DGL feature is the 28,310 logits of image and mirror image, summed (Wang et al., T-NNLS 2021, and its
evaluation script). Logits are affine in the pooled features: with u the sum of the pooled features over c views, the
summed logits are W u + c b = A [u; c], A = [W b]. Inner products are then [u; c]ᵀ M [u'; c] with M = AᵀA, and any R
with RᵀR = M gives an embedding R [u; c] of D + 1 dimensions that has the same cosines.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def geometry_factor(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Returns the upper triangular R with RᵀR = [W b]ᵀ[W b] and a positive diagonal.

    Args:
        weight: W, (C, D).
        bias: b, (C,).

    Returns:
        R, (D + 1, D + 1) float64.
    """
    affine = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float64)
    try:
        return np.ascontiguousarray(np.linalg.cholesky(affine.T @ affine).T)
    except np.linalg.LinAlgError:  # dependent columns: slower, and does not mind
        factor: np.ndarray = np.linalg.qr(affine, mode="r")  # type: ignore[assignment]
        return factor * np.where(np.diag(factor) < 0, -1.0, 1.0)[:, None]


class LogitEmbedding(nn.Module):
    """Maps pooled features, summed over the views, to summed logits or to their shorter form.

    The matrix product is done in float64, so that the two forms differ only by the rounding of what is stored.

    Args:
        weight: The classifier's weight, (C, D).
        bias: The classifier's bias, (C,).
        full: Give all C logits. Where C is at most D + 1 they are the shorter form anyway.
    """

    matrix: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, *, full: bool) -> None:
        super().__init__()
        classes, width = weight.shape
        self.width = width
        if full or classes <= width + 1:
            matrix = torch.cat([weight, bias[:, None]], dim=1).double()
        else:
            matrix = torch.from_numpy(geometry_factor(weight.numpy(), bias.numpy()))
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, summed: torch.Tensor, views: int) -> torch.Tensor:
        """Embeds a batch.

        Args:
            summed: Pooled features summed over the views, (N, D).
            views: How many views were summed.

        Returns:
            (N, C) or (N, D + 1), float64, not normalised.
        """
        count = summed.new_full((len(summed), 1), float(views), dtype=torch.float64)
        return torch.cat([summed.double(), count], dim=1) @ self.matrix.T
