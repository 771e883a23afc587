"""The weakly supervised triplet term: the median image that may be the same person against the nearest that cannot."""

from __future__ import annotations

import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.distances import squared_distances


def triplet_released(features: torch.Tensor, labels: BagLabels, margin: float = 1.2) -> torch.Tensor:
    """The term as released: mean of max(0, median positive - nearest negative + margin), plain distances.

    Positives share an identity's bag and count the image itself; the median is the lower one.

    Args:
        features: (N, D), not normalised.
        labels: Of the images.
        margin: In units of the distance.
    """
    return _triplet(squared_distances(features).clamp_min(1e-12).sqrt(), labels.sharing(), margin)


def triplet_paper(features: torch.Tensor, labels: BagLabels, margin: float = 1.2) -> torch.Tensor:
    """The term of equation 12: squared distances, and the image itself is no positive.

    Args:
        features: (N, D).
        labels: Of the images.
        margin: In units of the squared distance.
    """
    sharing = labels.sharing()
    others = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    return _triplet(squared_distances(features), sharing, margin, positive=sharing & others)


def _triplet(
    distances: torch.Tensor, sharing: torch.Tensor, margin: float, positive: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over images that have a positive and a negative; 0, with a gradient of 0, where none has."""
    positive = sharing if positive is None else positive
    count = positive.sum(dim=1)
    usable = (count > 0) & (~sharing).any(dim=1)
    if not usable.any():
        return distances.sum() * 0
    ordered = distances.masked_fill(~positive, torch.inf).sort(dim=1).values
    median = ordered.gather(1, ((count - 1).clamp_min(0) // 2)[:, None]).squeeze(1)
    nearest = distances.masked_fill(sharing, torch.inf).amin(dim=1)
    return (median[usable] - nearest[usable] + margin).clamp_min(0).mean()
