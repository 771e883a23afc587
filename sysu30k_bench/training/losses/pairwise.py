"""The pairwise term: images that look alike should be of one identity."""

from __future__ import annotations

import torch
from torch.nn import functional

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.distances import squared_distances


def pairwise_released(
    logits: torch.Tensor, low_level: torch.Tensor, chosen: torch.Tensor, sigma: float = 1.0
) -> torch.Tensor:
    """The term as released: (1 / n^2) sum_ij A_ij (-P_i . P_j) [y_i != y_j], over all pairs of the batch.

    A_ij = exp(-|f_i - f_j|^2 / sigma). The sign is the authors': it pulls together the probabilities of images that
    look alike and got different pseudo-labels. P_i . P_j for all pairs is one matrix product.

    Args:
        logits: (N, C).
        low_level: (N, D) features of the early layers, not normalised; gradients flow through them.
        chosen: (N,) pseudo-labels.
        sigma: Width of the affinity.
    """
    probability = functional.softmax(logits, dim=1)
    affinity = torch.exp(-squared_distances(low_level) / sigma)
    differing = chosen[:, None] != chosen[None, :]
    return -(affinity * (probability @ probability.T) * differing).sum() / len(logits) ** 2


def pairwise_paper(
    logits: torch.Tensor, low_level: torch.Tensor, labels: BagLabels, sigma: float = 1.0
) -> torch.Tensor:
    """The term of equation 8: sum_ij -exp(-|f_i - f_j|^2 / (2 sigma^2)) (Y_i P_i) . log(Y_j P_j), within bags.

    Outside a bag log(Y_j P_j) is infinite, so that only pairs of one bag and its own identities take part; i = j is
    left out, and the sum is divided by n^2, as the released one is.

    Args:
        logits: (N, C).
        low_level: (N, D) features of the early layers.
        labels: Of the images.
        sigma: Width of the affinity.
    """
    log_probability = labels.gather(functional.log_softmax(logits, dim=1)) + labels.prior.clamp_min(1e-30).log()
    log_weighted = torch.where(labels.known, log_probability, torch.zeros_like(log_probability))
    weighted = torch.where(labels.known, log_probability.exp(), torch.zeros_like(log_probability))
    affinity = torch.exp(-squared_distances(low_level) / (2 * sigma**2))
    together = labels.bag[:, None] == labels.bag[None, :]
    together = together & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    return -(affinity * (weighted @ log_weighted.T) * together).sum() / len(logits) ** 2
