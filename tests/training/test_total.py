"""The weighted sum of the losses: each weight goes with its own term (equation 13)."""

from __future__ import annotations

import pytest
import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.pairwise import pairwise_released
from sysu30k_bench.training.losses.total import losses_of
from sysu30k_bench.training.losses.triplet import triplet_released
from sysu30k_bench.training.losses.unary import graph_unary
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
