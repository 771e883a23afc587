"""The weakly supervised triplet term: the median image that may be the same person against the nearest that cannot."""

from __future__ import annotations

from typing import Literal

import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.distances import squared_distances

Positive = Literal["median", "share"]
"""Which of the images that may be the same person counts as one.

`median` is the authors'. In a bag of m people about one image in m is of the same person: with two the lower median is
still one of them, with three or more it is somebody else. `share` takes the image at that share instead, and is the
lower median where m is 2.
"""


def triplet_released(
    features: torch.Tensor, labels: BagLabels, margin: float = 1.2, positive: Positive = "median"
) -> torch.Tensor:
    """The term as released: mean of max(0, median positive - nearest negative + margin), plain distances.

    Positives share an identity's bag and count the image itself; the median is the lower one.

    Args:
        features: (N, D), not normalised.
        labels: Of the images.
        margin: In units of the distance.
        positive: Which image of the bag counts as the same person.
    """
    distances = squared_distances(features).clamp_min(1e-12).sqrt()
    sharing = labels.sharing()
    return _triplet(distances, sharing, sharing, margin, _parts(labels, positive))


def triplet_paper(
    features: torch.Tensor, labels: BagLabels, margin: float = 1.2, positive: Positive = "median"
) -> torch.Tensor:
    """The term of equation 12: squared distances, and the image itself is no positive.

    Args:
        features: (N, D).
        labels: Of the images.
        margin: In units of the squared distance.
        positive: Which image of the bag counts as the same person.
    """
    sharing = labels.sharing()
    others = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    return _triplet(squared_distances(features), sharing, sharing & others, margin, _parts(labels, positive))


def _parts(labels: BagLabels, positive: Positive) -> torch.Tensor | int:
    """Of how many equal parts of the positives the first one ends with the image that counts."""
    return 2 if positive == "median" else labels.known.sum(dim=1)


def _triplet(
    distances: torch.Tensor, sharing: torch.Tensor, positive: torch.Tensor, margin: float, parts: torch.Tensor | int
) -> torch.Tensor:
    """Mean over images that have a positive and a negative; 0, with a gradient of 0, where none has."""
    count = positive.sum(dim=1)
    usable = (count > 0) & (~sharing).any(dim=1)
    if not usable.any():
        return distances.sum() * 0
    ordered = distances.masked_fill(~positive, torch.inf).sort(dim=1).values
    chosen = ordered.gather(1, ((count - 1).clamp_min(0) // parts)[:, None]).squeeze(1)
    nearest = distances.masked_fill(sharing, torch.inf).amin(dim=1)
    return (chosen[usable] - nearest[usable] + margin).clamp_min(0).mean()
