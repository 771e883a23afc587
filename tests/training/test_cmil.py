"""Bags as wholes against values worked out by hand, and in a training."""

from __future__ import annotations

import math

import pytest
import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.cmil import bag_means, cmil_cross_entropy, cmil_triplet
from sysu30k_bench.training.recipe import load_recipe


def test_by_hand() -> None:
    """Three bags of two images on a line: halves are single images.

    Bags {0, 1}, {1, 2}, {3}: the first two share identity 1. Distances of 0 to its own half: 2; to bag {3} at 10 and
    11: 10. margin 9: 2 - 10 + 9 = 1. Of 2: 2 - 8 + 9 = 3. Of 4: positive 1, negative 6: 4. Of 5: 1 - 5 + 9 = 5.
    Of 10: positive 1, nearest of the other two bags 5: 5. Of 11: 1 - 6 + 9 = 4.
    """
    features = torch.tensor([[0.0], [2.0], [4.0], [5.0], [10.0], [11.0]])
    labels = BagLabels.of([[0, 1], [1, 2], [3]], [0, 0, 1, 1, 2, 2])
    assert float(cmil_triplet(features, labels, 9.0)) == pytest.approx((1 + 3 + 4 + 5 + 5 + 4) / 6)
    assert float(cmil_triplet(features, BagLabels.of([[0], [0]], [0, 0, 0, 1, 1, 1]), 9.0)) == 0
    logits = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]] * 3)
    row = torch.log_softmax(torch.tensor([0.0, 1.0, 0.0, 0.0]), dim=0)
    wanted = -((row[0] + row[1]) / 2 + (row[1] + row[2]) / 2 + row[3]) / 3
    assert float(cmil_cross_entropy(logits, labels)) == pytest.approx(float(wanted))
    assert math.isfinite(float(wanted))


def test_parts_of_bags_in_any_order() -> None:
    bag = torch.tensor([7, 3, 7, 3, 7])
    means, which = bag_means(torch.tensor([[1.0], [10.0], [3.0], [20.0], [5.0]]), bag, parts=2)
    assert means[:, 0].tolist() == [10, 20, 3, 3]
    assert which.tolist() == [0, 0, 1, 1]
    assert bag_means(torch.tensor([[1.0], [10.0], [3.0], [20.0], [5.0]]), bag)[0][:, 0].tolist() == [15, 3]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("margin", [0.0, 0.4, 30.0])
def test_the_triplet_equals_the_naive_rule(seed: int, margin: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    people = [[0, 1], [1, 2], [3, 4], [5], [2, 6]]
    bag = torch.randint(0, 5, (17,), generator=generator)
    bag[:3] = torch.tensor([4, 4, 3])
    features = torch.randn(17, 2, generator=generator, dtype=torch.float64)
    found, places = [], {one: torch.nonzero(bag == one)[:, 0].tolist() for one in sorted(set(bag.tolist()))}
    halves = {
        one: [features[rows[start::2]].mean(0) for start in range(min(2, len(rows)))] for one, rows in places.items()
    }
    for one, parts in halves.items():
        others = [
            half for other, those in halves.items() if not set(people[one]) & set(people[other]) for half in those
        ]
        for number, half in enumerate(parts):
            if len(parts) == 2 and others:
                positive = torch.dist(half, parts[1 - number])
                negative = min(torch.dist(half, other) for other in others)
                found.append(max(0.0, float(positive - negative) + margin))
    assert found
    given = cmil_triplet(features, BagLabels.of(people, bag), margin)
    assert given.dtype == torch.float64
    assert float(given) == pytest.approx(sum(found) / len(found), rel=1e-9, abs=1e-12)


def test_halves_of_any_number_of_images() -> None:
    bag = torch.tensor([5, 1, 5, 5, 1, 9, 5, 5])
    values = torch.arange(8.0, dtype=torch.float64)[:, None]
    means, which = bag_means(values, bag, parts=2)
    assert means[:, 0].tolist() == [1, 4, (0 + 3 + 7) / 3, (2 + 6) / 2, 5]
    assert which.tolist() == [0, 0, 1, 1, 2]
    assert means.dtype == torch.float64


def test_gradients_reach_every_image() -> None:
    torch.manual_seed(0)
    features = torch.randn(8, 3, requires_grad=True)
    labels = BagLabels.of([[0, 1], [2, 3]], [0, 0, 0, 0, 1, 1, 1, 1])
    cmil_triplet(features, labels, 50.0).backward()
    assert features.grad is not None
    assert bool((features.grad.abs().sum(dim=1) > 0).all())


def test_both_ways_of_asking_for_it() -> None:
    short = load_recipe("tiny", {"loss.unary": "cmil"}).loss
    assert short == load_recipe("tiny", {"loss.assignment": "cmil"}).loss
    assert (short.assignment, short.unary) == ("cmil", 1.0)
