"""Ten steps from the same weights: lightly's own loops pass, and the smallest bugs do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.training.ssl.recipe import MethodName
from sysu30k_bench.training.suite.bugs import BUGS, EQUALS, planted
from sysu30k_bench.training.suite.lockstep import lockstep

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
    found = lockstep("simsiam", example("simsiam", rate=1.01), 0)
    assert found is not None
    assert (found.step, found.what) == (1, "moved")
    assert "from the same weights, moved of step 1 differs by" in found.reason
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
