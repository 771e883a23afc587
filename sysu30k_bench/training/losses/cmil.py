"""Bags as wholes: a triplet and a cross-entropy of their mean features, and no pseudo-label (Tyo and Lipton, 2024)."""

from __future__ import annotations

import torch
from torch.nn import functional

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.distances import squared_distances


def bag_means(features: torch.Tensor, bag: torch.Tensor, parts: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Averages features over bags, or over parts of them.

    Args:
        features: (N, D).
        bag: (N,) int64, the bag of each image.
        parts: Into how many parts a bag's images go in turn; they are drawn in an order of chance.

    Returns:
        (B, D) means of the parts that have an image, and (B,) their bags, ascending.
    """
    _, place = torch.unique(bag, return_inverse=True)
    order = torch.argsort(place, stable=True)
    counts = torch.bincount(place)
    within = torch.empty_like(place)
    within[order] = torch.arange(len(place), device=place.device) - (counts.cumsum(0) - counts)[place[order]]
    group = place * parts + within % parts
    found, index = torch.unique(group, return_inverse=True)
    sums = torch.zeros(len(found), features.shape[1], dtype=features.dtype, device=features.device)
    sums = sums.index_add(0, index, features)
    return sums / torch.bincount(index)[:, None], found // parts


def cmil_triplet(features: torch.Tensor, labels: BagLabels, margin: float) -> torch.Tensor:
    """Computes the triplet term (arXiv:2402.07685, average pooling).

    Each bag of a batch is cut into two; the half's mean feature has the other half's as its positive, and as its
    negative the nearest of the bags that have no identity in common with it.

    Args:
        features: (N, D), not normalised.
        labels: Of the images.
        margin: In units of the distance.

    Returns:
        The mean over halves that have both; 0, with a gradient of 0, where none has.
    """
    means, which = bag_means(features, labels.bag, parts=2)
    _, place = torch.unique(labels.bag, return_inverse=True)
    first = torch.zeros(int(place.max()) + 1, dtype=torch.int64, device=place.device)
    first.scatter_(0, place, torch.arange(len(place), device=place.device))
    sharing = labels.sharing()[first][:, first][which][:, which]
    distances = squared_distances(means).clamp_min(1e-12).sqrt()
    same = (which[:, None] == which[None, :]) & ~torch.eye(len(which), dtype=torch.bool, device=which.device)
    usable = same.any(dim=1) & (~sharing).any(dim=1)
    if not usable.any():
        return distances.sum() * 0
    positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
    negative = distances.masked_fill(sharing, torch.inf).amin(dim=1)
    return (positive[usable] - negative[usable] + margin).clamp_min(0).mean()


def cmil_cross_entropy(logits: torch.Tensor, labels: BagLabels) -> torch.Tensor:
    """Computes the identity term: cross-entropy of the bag's label with the classifier on the bag's mean feature.

    The mean of a linear classifier's logits is its logits of the mean feature.

    Args:
        logits: (N, C) of a linear classifier.
        labels: Of the images.

    Returns:
        The mean over bags.
    """
    means, which = bag_means(logits, labels.bag)
    _, place = torch.unique(labels.bag, return_inverse=True)
    first = torch.zeros(len(which), dtype=torch.int64, device=place.device)
    first.scatter_(0, place, torch.arange(len(place), device=place.device))
    log_probability = functional.log_softmax(means, dim=1).gather(1, labels.candidate[first].clamp_min(0))
    return -(labels.prior[first] * log_probability).sum(dim=1).mean()
