from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sysu30k_bench.evaluation.check_card import check_card
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import find_card
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


class Constant(torch.nn.Module):
    """Says the same of every image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(images), 4)


class Moody(torch.nn.Module):
    """Draws its features by lot."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.rand(len(images), 4)


class Silent(torch.nn.Module):
    """Says nothing."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 4)


def card_of(name: str) -> AdapterCard:
    source = f"python:tests.cli.test_adapters:{name}"
    return AdapterCard.model_validate({"name": "x", "title": "X", "network": {"source": source}})


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("Constant", "the same embedding"),
        ("Moody", "the second time"),
        ("Silent", "zero, NaN or infinite"),
        ("Nobody", "cannot find"),
    ],
)
def test_cards_that_do_not_work_say_why(name: str, fault: str) -> None:
    report = check_card(card_of(name))
    assert len(report.faults) == 1
    assert fault in report.faults[0]


@pytest.mark.parametrize(("name", "dimension"), [("colour_stripes", 384), ("resnet50_layumi", 512), ("dgl", 2049)])
def test_cards_that_work(name: str, dimension: int) -> None:
    report = check_card(find_card(name))
    assert (report.faults, report.dimension) == ([], dimension)
    assert report.images_per_second > 0


def test_features_cards_have_nothing_to_try() -> None:
    assert "features files" in check_card(find_card("dari")).note


def test_command(bench: Bench, tmp_path: Path) -> None:
    good = bench("adapters", "check", "colour_stripes")
    assert good.code == 0
    assert "384" in good.out
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pth")
    bad = bench("adapters", "check", "colour_stripes", tmp_path / "w.pth")
    assert bad.code == 1
    assert "does not fill the network" in bad.err
    assert bench("adapters", "check").code == 2
    assert bench("adapters", "check", "nothing").code == 2
    assert bench("adapters", "check", "colour_stripes", "--markdown").out.startswith("| adapter | layouts |")
