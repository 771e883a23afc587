"""The losses against naive loops over (N, classes) labels, the authors' golden values, and float64 gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.losses.pairwise import pairwise_paper, pairwise_released
from sysu30k_bench.training.losses.triplet import triplet_paper, triplet_released
from sysu30k_bench.training.losses.unary import (
    bag_cross_entropy,
    balanced_assignment,
    balanced_unary,
    graph_unary,
    pseudo_labels,
)

CLASSES = 9
SETS = [[[3], [1, 2], [4, 5, 6]], [[0, 1], [1, 2], [7, 8]], [[5], [2], [8], [0]], [[0, 0, 1], [2, 3], [8, 8, 8, 7]]]


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor, BagLabels, np.ndarray]:
    """Logits, features, labels, and the labels as the dense matrix Y."""
    rng = np.random.default_rng(seed)
    bags = SETS[seed % len(SETS)]
    bag = np.sort(rng.integers(0, len(bags), 12))
    logits = torch.tensor(rng.standard_normal((12, CLASSES)) * 2)
    features = torch.tensor(rng.standard_normal((12, 5)))
    dense = np.zeros((12, CLASSES))
    for row, number in enumerate(bag):
        for label in bags[number]:
            dense[row, label] += 1 / len(bags[number])
    return logits, features, BagLabels.of(bags, torch.tensor(bag)), dense


def softmax(logits: torch.Tensor) -> np.ndarray:
    values: np.ndarray = torch.softmax(logits, 1).numpy()
    return values


@pytest.mark.parametrize("seed", range(12))
def test_pseudo_labels_are_the_dense_maximum(seed: int) -> None:
    logits, _, labels, dense = batch(seed)
    expected = (dense * softmax(logits)).argmax(axis=1)
    assert pseudo_labels(logits, labels).tolist() == expected.tolist()


def test_vanishing_probabilities_stay_inside_the_bag() -> None:
    logits = torch.zeros(1, 5)
    logits[0, 0] = 500
    logits[0, 3] = 1
    assert pseudo_labels(logits, BagLabels.of([[2, 3]], [0])).tolist() == [3]


@pytest.mark.parametrize("seed", range(12))
def test_unary_and_bag_cross_entropy_by_hand(seed: int) -> None:
    logits, _, labels, dense = batch(seed)
    log_probability = torch.log_softmax(logits, 1).numpy()
    loss, chosen = graph_unary(logits, labels)
    assert loss.item() == pytest.approx(-log_probability[np.arange(12), chosen].mean())
    assert bag_cross_entropy(logits, labels)[0].item() == pytest.approx(
        -(dense * log_probability).sum(1).mean(), rel=1e-6
    )


@pytest.mark.parametrize("seed", range(12))
def test_released_pairwise_is_the_double_loop(seed: int) -> None:
    logits, features, labels, _ = batch(seed)
    chosen = pseudo_labels(logits, labels)
    probability = softmax(logits)
    total = 0.0
    for i in range(12):
        for j in range(12):
            if chosen[i] != chosen[j]:
                affinity = math.exp(-float((features[i] - features[j]).square().sum()) / 0.7)
                total += affinity * -float(probability[i] @ probability[j])
    assert pairwise_released(logits, features, chosen, 0.7).item() == pytest.approx(total / 144)


@pytest.mark.parametrize("seed", range(12))
def test_paper_pairwise_is_the_double_loop_over_each_bag(seed: int) -> None:
    logits, features, labels, dense = batch(seed)
    weighted = dense * softmax(logits)
    total = 0.0
    for i in range(12):
        for j in range(12):
            if i != j and labels.bag[i] == labels.bag[j]:
                affinity = math.exp(-float((features[i] - features[j]).square().sum()) / (2 * 0.7**2))
                inside = dense[i] > 0
                total -= affinity * float(weighted[i][inside] @ np.log(weighted[j][inside]))
    assert pairwise_paper(logits, features, labels, 0.7).item() == pytest.approx(total / 144, rel=1e-6)


def naive_triplet(features: np.ndarray, dense: np.ndarray, margin: float, released: bool, share: bool = False) -> float:
    losses = []
    for i in range(len(features)):
        square = ((features[i] - features) ** 2).sum(axis=1)
        distance = np.sqrt(np.maximum(square, 1e-12)) if released else square
        same = dense @ dense[i] > 0
        positive = same.copy()
        if not released:
            positive[i] = False
        if not positive.any() or same.all():
            continue
        ordered = np.sort(distance[positive])
        parts = int((dense[i] > 0).sum()) if share else 2
        losses.append(max(0.0, ordered[(len(ordered) - 1) // parts] - distance[~same].min() + margin))
    return float(np.mean(losses)) if losses else 0.0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize("share", [True, False])
def test_triplets_are_the_naive_loop(seed: int, released: bool, share: bool) -> None:
    _, features, labels, dense = batch(seed)
    positive = "share" if share else "median"
    loss = (triplet_released if released else triplet_paper)(features, labels, 1.2, positive)  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(naive_triplet(features.numpy(), dense, 1.2, released, share), abs=1e-9)


def test_share_is_the_lower_median_where_bags_have_two_people() -> None:
    features = torch.randn(16, 4, dtype=torch.float64)
    labels = BagLabels.of([[0, 1], [2, 3]], torch.arange(16) // 8)
    assert triplet_released(features, labels) == triplet_released(features, labels, positive="share")


def test_without_a_negative_the_triplet_is_nothing() -> None:
    features = torch.randn(4, 3, requires_grad=True)
    loss = triplet_released(features, BagLabels.of([[0, 1]], [0] * 4))
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert not features.grad.any()


def test_an_image_without_a_negative_does_not_count_in_the_triplets_mean() -> None:
    """The second image shares with both others; they are 3 apart, and each is its own lower median: 0 - 3 + 5."""
    features = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    labels = BagLabels.of([[0], [0, 1], [1]], [0, 1, 2])
    assert triplet_released(features, labels, margin=5.0).item() == pytest.approx(2, abs=1e-5)


def test_bags_with_a_common_identity_share() -> None:
    labels = BagLabels.of([[0, 1], [1, 2], [3]], [0, 1, 2, 0])
    assert labels.sharing().int().tolist() == [[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]]


def test_balanced_assignment_gives_the_golden_value() -> None:
    rows = [[5, 1, 0, 9], [4, 3, 0, 9], [3, 2, 1, 9], [2, 1, 0, 9], [1, 0, 0.5, 9], [0, 0.2, 0.1, 9]]
    assert balanced_assignment(torch.tensor(rows), [0, 1, 2]).tolist() == [0, 0, 1, 1, 2, 2]


def naive_balanced(scores: np.ndarray, identities: list[int]) -> list[int]:
    columns = sorted(set(identities))
    quota = len(scores) // len(columns)
    labels = [-1] * len(scores)
    free, open_columns = set(range(len(scores))), list(columns)
    for _ in columns:
        votes: dict[int, list[int]] = {column: [] for column in open_columns}
        for row in sorted(free):
            votes[max(open_columns, key=lambda column: (scores[row, column], -column))].append(row)
        winner = max(open_columns, key=lambda column: (len(votes[column]), -column))
        ranked = sorted(votes[winner], key=lambda row: (-scores[row, winner], row))
        for row in ranked:
            labels[row] = winner
        free -= set(ranked[:quota])
        open_columns.remove(winner)
    return labels


@pytest.mark.parametrize("seed", range(40))
def test_balanced_assignment_is_the_naive_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    identities = rng.choice(8, int(rng.integers(1, 6)), replace=False).tolist()
    scores = np.round(rng.standard_normal((int(rng.integers(len(identities), 18)), 8)), 1).astype(np.float32)
    found = balanced_assignment(torch.tensor(scores), identities).tolist()
    assert found == naive_balanced(scores, identities)
    counts = np.bincount(found, minlength=8)[sorted(identities)]
    assert counts.min() >= len(scores) // len(identities)


@pytest.mark.parametrize(("images", "identities", "counts"), [(15, 3, [5, 5, 5]), (17, 3, [5, 5, 7])])
def test_what_is_left_over_goes_to_the_last(images: int, identities: int, counts: list[int]) -> None:
    scores = torch.randn(images, identities, generator=torch.Generator().manual_seed(1))
    found = torch.bincount(balanced_assignment(scores, list(range(identities))))
    assert sorted(found.tolist()) == counts


def test_a_bag_with_fewer_images_than_identities_is_refused() -> None:
    with pytest.raises(ValueError, match="2 images cannot be divided equally among 3"):
        balanced_assignment(torch.randn(2, 5), [0, 1, 2])
    with pytest.raises(ValueError, match="without an identity"):
        BagLabels.of([[], [1]], [0])


def test_balanced_unary_goes_bag_by_bag() -> None:
    logits, _, labels, _ = batch(1)
    _, chosen = balanced_unary(logits, labels)
    for bag in labels.bag.unique():
        rows = labels.bag == bag
        identities = labels.candidate[rows][0]
        assert chosen[rows].tolist() == balanced_assignment(logits[rows], identities[identities >= 0].tolist()).tolist()


def test_one_identity_a_bag_is_strong_supervision() -> None:
    logits, features, _, _ = batch(0)
    truth = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    labels = BagLabels.of([[label] for label in range(6)], truth)
    loss, chosen = graph_unary(logits, labels)
    strong = torch.nn.functional.cross_entropy(logits, truth)
    assert chosen.tolist() == truth.tolist()
    assert loss.item() == pytest.approx(strong.item())
    assert bag_cross_entropy(logits, labels)[0].item() == pytest.approx(strong.item())
    assert balanced_unary(logits, labels)[0].item() == pytest.approx(strong.item())
    assert labels.sharing().tolist() == (truth[:, None] == truth[None]).tolist()
    assert pairwise_paper(logits, features, labels).isfinite()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, BagLabels], torch.Tensor]] = {
    "unary": lambda logits, _, labels: graph_unary(logits, labels)[0],
    "balanced": lambda logits, _, labels: balanced_unary(logits, labels)[0],
    "bag": lambda logits, _, labels: bag_cross_entropy(logits, labels)[0],
    "pairwise released": lambda logits, features, labels: pairwise_released(
        logits, features, pseudo_labels(logits, labels)
    ),
    "pairwise paper": lambda logits, features, labels: pairwise_paper(logits, features, labels),
    "triplet released": lambda _, features, labels: triplet_released(features, labels),
    "triplet paper": lambda _, features, labels: triplet_paper(features, labels),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_gradients_in_float64(name: str, seed: int) -> None:
    logits, features, labels, _ = batch(seed)
    labels = BagLabels(labels.candidate, labels.prior.double(), labels.bag)
    inputs = (logits.requires_grad_(), features.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda a, b: LOSSES[name](a, b, labels) + 0 * (a.sum() + b.sum()), inputs, eps=1e-7, atol=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_classes_outside_the_bags_are_only_in_the_softmax(name: str) -> None:
    """No loss grows with images x images x classes: 28,310 classes at batch 180 stay within a few logits' memory."""
    labels = BagLabels.of([[number, number + 1] for number in range(0, 120, 10)], torch.arange(180) // 15)
    logits = torch.randn(180, 28_310, requires_grad=True)
    features = torch.randn(180, 64, requires_grad=True)
    loss = LOSSES[name](logits, features, labels)
    loss.backward()
    assert loss.isfinite()
