"""What `auto` takes: the fastest that agrees, and nothing that is wrong, slow or broken."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.models.backends.choose import choose_backend
from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder


class Clock:
    """Time that only the fake networks pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


class Timed(nn.Module):
    """Takes 10 seconds a call of the fake clock."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        CLOCK.now += 10
        return pixels.flatten(2)[..., :5].flatten(1)


def fake(seconds: float, *, wrong: float = 0.0, build: float = 0.0, raises: Exception | None = None) -> Any:
    """A backend that takes so long a call, and gives embeddings turned by so much."""

    def make(_network: nn.Module, _job: Job) -> Runner:
        CLOCK.now += build
        if isinstance(raises, BackendRefusal):
            raise raises

        def run(pixels: torch.Tensor) -> torch.Tensor:
            if raises is not None:
                raise raises
            CLOCK.now += seconds
            features = pixels.flatten(2)[..., :5].flatten(1).clone()
            features[:, 0] += wrong * features.norm(dim=1)
            return features

        return run

    return make


def trial(budget: float = 1000.0, *, bf16: bool = False, **backends: Any) -> Any:
    CLOCK.now = 0.0
    images = torch.randint(1, 256, (8, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    embedder = Embedder(Timed(), Feature(flip="none"), Input(height=16, width=16), bf16=bf16)
    choice = choose_backend(embedder, images, 4, budget, backends=backends, clock=CLOCK)
    return choice, embedder


def test_the_fastest_that_agrees_is_taken_and_runs() -> None:
    choice, embedder = trial(slower=fake(8), fast=fake(4), faster=fake(2))
    assert choice.name == "faster"
    assert "backend faster: 5.0 times eager on 8 trial images, largest cosine distance 0e+00" in choice.said
    assert "fast: 2.5 times eager" in choice.said
    CLOCK.now = 0.0
    embedder(torch.zeros(4, 3, 4, 4, dtype=torch.uint8))
    assert CLOCK.now == 2


def test_fast_but_wrong_is_refused() -> None:
    choice, embedder = trial(wrong=fake(1, wrong=0.01), right=fake(5, wrong=1e-5))
    assert choice.name == "right"
    assert "wrong: cosine distance" in choice.said
    assert embedder.runner is not None


@pytest.mark.parametrize("seconds", [9.5, 10, 40])
def test_slow_is_not_taken(seconds: float) -> None:
    choice, embedder = trial(slow=fake(seconds))
    assert choice.name == "eager"
    assert embedder.runner is None
    assert "nothing faster agrees" in choice.said


def test_nan_is_no_agreement() -> None:
    assert trial(broken=fake(1, wrong=float("nan")))[0].name == "eager"


@pytest.mark.parametrize("error", [RuntimeError("bad kernel"), BackendRefusal("has control flow"), MemoryError()])
def test_what_fails_is_passed_over_with_its_reason(error: Exception) -> None:
    choice, _ = trial(broken=fake(1, raises=error), works=fake(5))
    assert choice.name == "works"
    assert (str(error) or type(error).__name__) in choice.said


def test_the_budget_ends_the_trial() -> None:
    choice, _ = trial(budget=150, first=fake(5, build=200), second=fake(1))
    assert choice.name == "first"
    assert "second: not tried" in choice.said


def test_what_takes_long_to_build_needs_that_much_time_left() -> None:
    assert trial(budget=100, compile=fake(1))[0].name == "eager"
    assert trial(budget=200, compile=fake(1))[0].name == "compile"


def test_bfloat16_is_held_to_eager_float32_within_a_wider_limit() -> None:
    near = fake(1, wrong=0.01)  # a distance of 3e-5
    assert trial(near=near)[0].name == "eager"
    assert trial(bf16=True, near=near)[0].name == "near"
    assert trial(bf16=True, far=fake(1, wrong=0.1))[0].name == "eager"


def test_a_network_that_takes_cameras_stays_eager() -> None:
    embedder = Embedder(Timed(), Feature(), Input())
    embedder.trunk.takes_camera = True  # type: ignore[assignment]
    images = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    choice = choose_backend(embedder, images, 4, 10, backends={"any": fake(1)}, clock=CLOCK)
    assert choice.name == "eager"
    assert "camera" in choice.said
