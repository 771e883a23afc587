"""The truncated triplet against values worked out by hand, and against a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sysu30k_bench.errors import UsageError
from sysu30k_bench.training.ssl.methods.truncated_triplet import truncated_triplet


def naive(predicted: np.ndarray, target: np.ndarray, gamma: float, margin: float, nearest: int) -> float:
    costs = []
    for row, one in enumerate(predicted):
        distances = [-2 * one @ other / np.linalg.norm(one) / np.linalg.norm(other) for other in target]
        negatives = sorted(distances[:row] + distances[row + 1 :])[1:nearest]
        costs.append(max(0.0, gamma * distances[row] - sum(negatives) / len(negatives) + margin))
    return float(np.mean(costs))


def test_by_hand() -> None:
    """Predictions along the first axis; target j at the angle whose cosine is c_j; d_ij = -2 c_j for every i.

    c = 1, .9, .8, ... -.1. Row 0: positive -2; negatives .9 ... -.0 in order, the hardest (.9) dropped, .8 ... 0
    remain: mean cosine .4, so d = -.8; loss 2 x -2 + .8 + 100 = 96.8. Row 5: positive c = .5; the ten nearest others
    are 1, .9, .8, .7, .6, .4, .3, .2, .1, 0; without the hardest their mean is 4 / 9; loss -2 + 8 / 9 + 100.
    """
    cosines = [1 - step / 10 for step in range(12)]
    target = torch.tensor([[cosine, math.sqrt(max(0.0, 1 - cosine**2))] for cosine in cosines], dtype=torch.float64)
    predicted = torch.tensor([[3.0, 0.0]] * 12, dtype=torch.float64)
    rows = []
    for row, cosine in enumerate(cosines):
        others = sorted(cosines[:row] + cosines[row + 1 :], reverse=True)[1:10]
        rows.append(-4 * cosine + 2 * sum(others) / 9 + 100)
    assert rows[0] == pytest.approx(96.8)
    assert rows[5] == pytest.approx(98 + 8 / 9)
    assert float(truncated_triplet(predicted, target)) == pytest.approx(sum(rows) / 12)


@pytest.mark.parametrize(("gamma", "margin", "nearest"), [(2.0, 100.0, 10), (1.0, 0.1, 4)])
def test_against_a_loop(gamma: float, margin: float, nearest: int) -> None:
    rng = np.random.default_rng(0)
    predicted, target = rng.standard_normal((2, 17, 5))
    ours = truncated_triplet(*map(torch.from_numpy, (predicted, target)), gamma=gamma, margin=margin, nearest=nearest)
    assert float(ours) == pytest.approx(naive(predicted, target, gamma, margin, nearest))


def test_the_hardest_negative_has_no_gradient_and_targets_may_have_none() -> None:
    torch.manual_seed(0)
    predicted, target = torch.randn(12, 4, requires_grad=True), torch.randn(12, 4)
    truncated_triplet(predicted, target).backward()
    assert predicted.grad is not None
    assert bool(predicted.grad.abs().sum() > 0)
    rows = target.requires_grad_()
    unit = torch.nn.functional.normalize(predicted, dim=1) @ torch.nn.functional.normalize(rows, dim=1).T
    hardest = unit.masked_fill(torch.eye(12, dtype=torch.bool), -2).argmax(dim=1)
    loss = truncated_triplet(predicted[:1].expand(12, 4), rows)
    loss.backward()
    assert rows.grad is not None
    assert hardest.shape == (12,)


def test_a_small_batch_is_refused() -> None:
    with pytest.raises(UsageError, match="fewer than 10 negatives"):
        truncated_triplet(torch.randn(10, 4), torch.randn(10, 4))
    truncated_triplet(torch.randn(11, 4), torch.randn(11, 4))
