"""Ten steps from the same weights: lightly's own loops pass, and the smallest bugs do not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.training.ssl.recipe import MethodName
from sysu30k_bench.training.suite.bugs import BUGS, planted
from sysu30k_bench.training.suite.equals import EQUALS
from sysu30k_bench.training.suite.lockstep import Beside, compare, lockstep

pytest.importorskip("lightly")


def example(method: str, rate: float = 1.0) -> Any:
    """Lightly's own loop as a candidate."""
    from tests.training.ssl.examples import EXAMPLES, Example

    class Loop:
        def __init__(self, backbone: nn.Module, recipe: Any) -> None:
            self.net = Example(backbone)
            self.net.epoch = 0
            self._loss = EXAMPLES[method](self.net, recipe)
            self.net.train()
            learning = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
            self._optimizer = torch.optim.SGD(learning, lr=recipe.optimizer.lr * rate, momentum=0.9)

        @property
        def backbone(self) -> nn.Module:
            return self.net.backbone

        def step(self, first: torch.Tensor, second: torch.Tensor) -> float:
            loss = self._loss(first, second)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            return float(loss)

    return Loop


@pytest.mark.parametrize("method", ["simclr", "simsiam", "barlow_twins"])
def test_lightlys_own_loops_pass(method: MethodName) -> None:
    found = lockstep(method, example(method), 0, 50)
    assert found is not None
    assert found.reason == ""


def test_small_bugs_are_found_and_equal_implementations_pass() -> None:
    found = lockstep("simsiam", example("simsiam", rate=1.03), 0)
    assert found is not None
    assert (found.step, found.what) == (1, "moved")
    assert "from the same weights, the change of the trunk's weights in step 1 differs by" in found.reason
    constant = lockstep("byol", example("byol"), 0)  # its momentum has no schedule here
    assert constant is not None
    assert constant.step > 1
    assert "EMA without its schedule" in BUGS
    frozen = lockstep("byol", planted("frozen EMA"), 0)
    assert frozen is not None
    assert frozen.step > 1
    for equal in EQUALS.values():
        assert lockstep("byol", equal, 0) is not None
        assert not lockstep("byol", equal, 0).step  # type: ignore[union-attr]


def test_heads_that_cannot_be_recognised_are_not_compared() -> None:
    class Other:
        def __init__(self, backbone: nn.Module, recipe: Any) -> None:
            del recipe
            self.backbone, self.head = backbone, nn.Linear(128, 3)

        def step(self, first: torch.Tensor, second: torch.Tensor) -> float:
            raise AssertionError((first, second))

    assert lockstep("simclr", Other, 0) is None


def beside(loss: float, way: float, gap: float = 0.0) -> Beside:
    """One step: candidate, reference (loss 2, way 1), and two nudged references, one of them off by a gap."""
    ways = [torch.tensor([value, 0.0]).double() for value in (way, 1.0, 1.0 + gap, 1.0)]
    return Beside([loss, 2.0, 2.0, 2.0 - gap], ways)


def test_what_is_allowed_by_hand() -> None:
    """Of a loss 20 gaps and 1e-4 of 2.001; of a way 5 gaps and 1e-2 of 1.001; gaps count from there on."""
    assert compare([beside(2.0002, 1.01)]).step == 0
    found = compare([beside(2.0, 1.0), beside(2.00021, 1.0)])
    assert (found.step, found.what) == (2, "loss")
    assert found.difference == pytest.approx(2.1e-4)
    assert found.rounding == pytest.approx(2.001e-4)
    found = compare([beside(2.0, 0.9899)])
    assert (found.step, found.what) == (1, "moved")
    assert found.difference == pytest.approx(0.0101)
    wide = beside(2.0, 1.0, gap=1e-3)
    assert compare([wide, beside(2.0201, 1.015)]).step == 0
    assert compare([beside(2.0201, 1.015), wide]).step == 1
    assert compare([wide, beside(2.0203, 1.0)]).step == 2
    assert compare([wide, beside(2.0, 1.0151)]).step == 2
    assert compare([beside(math.nan, 1.0)]).step == 1
