"""Distances between all images of a batch."""

from __future__ import annotations

import torch


def squared_distances(features: torch.Tensor) -> torch.Tensor:
    """Returns squared Euclidean distances, never below 0.

    Args:
        features: (N, D).

    Returns:
        (N, N).
    """
    squares = features.square().sum(dim=1)
    return (squares[:, None] + squares[None, :] - 2 * features @ features.T).clamp_min(0)
