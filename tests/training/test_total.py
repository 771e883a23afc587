"""The weighted sum of the losses: each weight goes with its own term (equation 13)."""

from __future__ import annotations

import pytest
import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.cmil import cmil_cross_entropy, cmil_triplet
from sysu30k_bench.training.losses.pairwise import pairwise_paper, pairwise_released
from sysu30k_bench.training.losses.total import losses_of
from sysu30k_bench.training.losses.triplet import triplet_paper, triplet_released
from sysu30k_bench.training.losses.unary import bag_cross_entropy, balanced_unary, graph_unary, pseudo_labels
from sysu30k_bench.training.networks import Outputs
from sysu30k_bench.training.recipe import LossPart


def test_each_weight_goes_with_its_own_term() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, embedding, low = (torch.randn(8, width, generator=generator) for width in (6, 4, 3))
    labels = BagLabels.of([[0, 1], [2, 3]], torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
    part = LossPart(unary=2.0, pairwise=3.0, triplet=5.0)
    found = losses_of(Outputs([logits], [embedding], low), labels, part)
    unary, chosen = graph_unary(logits, labels)
    pairwise = pairwise_released(logits, low, chosen, part.sigma)
    triplet = triplet_released(embedding, labels, part.margin, part.positive)
    assert (float(found.unary), float(found.pairwise)) == pytest.approx((float(unary), float(pairwise)))
    assert float(found.triplet) == pytest.approx(float(triplet))
    assert float(pairwise) != pytest.approx(float(triplet), rel=0.05)
    assert float(found.total) == pytest.approx(2 * float(unary) + 3 * float(pairwise) + 5 * float(triplet))


@pytest.mark.parametrize("positive", ["median", "share"])
@pytest.mark.parametrize("form", ["released", "paper"])
@pytest.mark.parametrize("assignment", ["graph", "balanced", "bag", "cmil"])
def test_every_setting_takes_its_own_terms_over_heads_and_embeddings(assignment: str, form: str, positive: str) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = [torch.randn(12, 9, generator=generator) for _ in range(2)]
    embeddings = [torch.randn(12, 4, generator=generator) for _ in range(3)]
    low = torch.randn(12, 3, generator=generator)
    labels = BagLabels.of([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [0] * 4 + [1] * 4 + [2] * 4)
    part = LossPart(
        pairwise=3.0, triplet=5.0, sigma=0.7, margin=0.9, assignment=assignment, form=form, positive=positive
    )  # type: ignore[arg-type]
    found = losses_of(Outputs(logits, embeddings, low), labels, part)
    if assignment == "cmil":
        bags = sum(float(cmil_triplet(one, labels, 0.9)) for one in embeddings) / 3
        pairs = [(cmil_cross_entropy(one, labels) + bags, pseudo_labels(one, labels)) for one in logits]
    else:
        function = {"graph": graph_unary, "balanced": balanced_unary, "bag": bag_cross_entropy}[assignment]
        pairs = [function(one, labels) for one in logits]
    released = form == "released"
    seconds = [
        pairwise_released(one, low, chosen, 0.7) if released else pairwise_paper(one, low, labels, 0.7)
        for one, (_, chosen) in zip(logits, pairs, strict=True)
    ]
    term = triplet_released if released else triplet_paper
    thirds = [term(one, labels, 0.9, part.positive) for one in embeddings]
    wanted = [sum(float(one) for one in terms) / len(terms) for terms in ([cost for cost, _ in pairs], seconds, thirds)]
    assert [float(one) for one in (found.unary, found.pairwise, found.triplet)] == pytest.approx(wanted, rel=1e-5)
    assert float(found.total) == pytest.approx(wanted[0] * part.unary + 3 * wanted[1] + 5 * wanted[2], rel=1e-5)
    assert torch.equal(found.chosen, torch.stack([chosen for _, chosen in pairs]))


def test_terms_of_weight_0_are_0_and_keep_the_gradient() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(2), requires_grad=True)
    labels = BagLabels.of([[0, 1], [2, 3]], [0, 0, 1, 1])
    found = losses_of(
        Outputs([logits], [torch.randn(4, 2)], torch.randn(4, 2)), labels, LossPart(pairwise=0, triplet=0)
    )
    assert (found.pairwise.item(), found.triplet.item()) == (0, 0)
    assert found.total.item() == found.unary.item()
    (gradient,) = torch.autograd.grad(found.pairwise + found.triplet, logits)
    assert not gradient.any()
