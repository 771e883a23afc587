"""All terms of a recipe, over all heads."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.cmil import cmil_cross_entropy, cmil_triplet
from sysu30k_bench.training.losses.pairwise import pairwise_paper, pairwise_released
from sysu30k_bench.training.losses.triplet import triplet_paper, triplet_released
from sysu30k_bench.training.losses.unary import bag_cross_entropy, balanced_unary, graph_unary, pseudo_labels
from sysu30k_bench.training.networks import Outputs
from sysu30k_bench.training.recipe import LossPart

_CMIL = "cmil"
_UNARY = {"graph": graph_unary, "balanced": balanced_unary, "bag": bag_cross_entropy}


@dataclass(frozen=True)
class Losses:
    """What a batch costs.

    Attributes:
        total: Weighted sum; equation 13.
        unary: Mean over heads.
        pairwise: Mean over heads.
        triplet: Mean over embeddings.
        chosen: (heads, N) the pseudo-labels of every head.
    """

    total: torch.Tensor
    unary: torch.Tensor
    pairwise: torch.Tensor
    triplet: torch.Tensor
    chosen: torch.Tensor


def losses_of(outputs: Outputs, labels: BagLabels, part: LossPart) -> Losses:
    """Computes all terms; those of weight 0 are left out.

    Args:
        outputs: Of the network, for the whole batch.
        labels: Weak labels of the batch.
        part: Which terms, in which form.
    """
    nothing = outputs.logits[0].sum() * 0
    unary, pairwise, triplet, chosen = [], [], [], []
    for logits in outputs.logits:
        if part.assignment == _CMIL:
            cost, labels_chosen = cmil_cross_entropy(logits.float(), labels), pseudo_labels(logits, labels)
        else:
            cost, labels_chosen = _UNARY[part.assignment](logits.float(), labels)
        unary.append(cost)
        chosen.append(labels_chosen)
        if part.pairwise:
            low = outputs.low_level.float()
            if part.form == "released":
                pairwise.append(pairwise_released(logits.float(), low, labels_chosen, part.sigma))
            else:
                pairwise.append(pairwise_paper(logits.float(), low, labels, part.sigma))
    if part.triplet:
        term = triplet_released if part.form == "released" else triplet_paper
        triplet = [term(embedding.float(), labels, part.margin, part.positive) for embedding in outputs.embeddings]
    if part.assignment == _CMIL:
        bags = [cmil_triplet(embedding.float(), labels, part.margin) for embedding in outputs.embeddings]
        unary = [cost + torch.stack(bags).mean() for cost in unary]
    first, second, third = (torch.stack(terms).mean() if terms else nothing for terms in (unary, pairwise, triplet))
    total = part.unary * first + part.pairwise * second + part.triplet * third
    return Losses(total, first, second, third, torch.stack(chosen))
