"""Pseudo-labels from a bag's identities and a classifier's scores, and the cross-entropy with them."""

from __future__ import annotations

import torch
from torch.nn import functional

from sysu30k_bench.training.bag_labels import BagLabels


def pseudo_labels(logits: torch.Tensor, labels: BagLabels) -> torch.Tensor:
    """Chooses for every image the identity of its bag that prior and probability make most likely.

    The maximum of Y_i^k P_i^k over k (equation 8 of the paper, and the released code), taken among the bag's own
    identities and in logarithms: where all probabilities vanish in float32, the released product is 0 everywhere and
    its maximum is class 0, which may not be in the bag.

    Args:
        logits: (N, C).
        labels: Of the images.

    Returns:
        (N,) int64, without gradient; the lowest of classes that are equally likely.
    """
    with torch.no_grad():
        scores = labels.gather(logits.float()) + labels.prior.clamp_min(1e-30).log()
        best = scores.masked_fill(~labels.known, -torch.inf).argmax(dim=1)
        return labels.candidate.gather(1, best[:, None]).squeeze(1)


def graph_unary(logits: torch.Tensor, labels: BagLabels) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy with pseudo-labels: the unary term, and the classification loss of equation 9, which is the same.

    Args:
        logits: (N, C).
        labels: Of the images.

    Returns:
        The mean loss, and the pseudo-labels (N,).
    """
    chosen = pseudo_labels(logits, labels)
    return functional.cross_entropy(logits, chosen), chosen


def bag_cross_entropy(logits: torch.Tensor, labels: BagLabels) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy with the bag's label itself, without a graph: the naive weak baseline.

    Args:
        logits: (N, C).
        labels: Of the images.

    Returns:
        The mean of -sum_k Y_i^k log P_i^k, and the pseudo-labels that the scores would give (N,).
    """
    log_probability = labels.gather(functional.log_softmax(logits, dim=1))
    loss = -(labels.prior * log_probability).sum(dim=1).mean()
    return loss, pseudo_labels(logits, labels)


def balanced_assignment(scores: torch.Tensor, identities: list[int]) -> torch.Tensor:
    """Assigns the images of one bag to its identities, about as many to each (the released unary-only recipe).

    In each of m rounds every image that is still free votes for the best identity still open; the one with most votes
    wins, all its voters get its label, its n // m best voters are settled, and it is closed. Voters beyond those stay
    free and may be labelled again; the last identity takes what is left.

    Args:
        scores: (n, C) logits of the bag's images.
        identities: The bag's identities; each counts once.

    Returns:
        (n,) int64.

    Raises:
        ValueError: The bag has fewer images than identities: no quota can be filled.
    """
    columns = torch.tensor(sorted(set(identities)), device=scores.device)
    among = scores.detach()[:, columns].float()
    images, count = among.shape
    if images < count:
        raise ValueError(f"a bag of {images} images cannot be divided equally among {count} identities")
    quota = images // count
    free = torch.ones(images, dtype=torch.bool, device=scores.device)
    chosen = torch.zeros(images, dtype=torch.int64, device=scores.device)
    for _ in range(count):
        vote = among.argmax(dim=1)
        winner = int(torch.bincount(vote[free], minlength=count).argmax())
        voters = torch.nonzero(free & (vote == winner)).squeeze(1)
        chosen[voters] = winner
        order = torch.sort(among[voters, winner], descending=True, stable=True).indices
        free[voters[order[:quota]]] = False
        among[:, winner] = -torch.inf
    return columns[chosen]


def balanced_unary(logits: torch.Tensor, labels: BagLabels) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy with labels shared out bag by bag (`balanced_assignment`).

    Args:
        logits: (N, C).
        labels: Of the images.

    Returns:
        The mean loss, and the labels (N,).
    """
    chosen = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
    for bag in torch.unique(labels.bag):
        rows = torch.nonzero(labels.bag == bag).squeeze(1)
        candidates = labels.candidate[rows[0]]
        chosen[rows] = balanced_assignment(logits[rows], candidates[candidates >= 0].tolist())
    return functional.cross_entropy(logits, chosen), chosen
