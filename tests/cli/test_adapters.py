from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sysu30k_bench.diagnostics.check_card import check_card
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import all_cards, find_card
from tests.conftest import Outcome
from tests.models.checkpoints import other, prefixed, projector, small_resnet, trunk

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


@pytest.mark.parametrize(
    ("name", "dimension"),
    [("colour_stripes", 384), ("resnet50_layumi", 512), pytest.param("dgl", 2049, marks=pytest.mark.slow)],
)
def test_cards_that_work(name: str, dimension: int) -> None:
    report = check_card(find_card(name))
    assert (report.faults, report.dimension) == ([], dimension)
    assert report.images_per_second > 0


def test_features_cards_have_nothing_to_try() -> None:
    assert "features files" in check_card(find_card("dari")).note


def test_which_explains_a_file_without_evaluating_it(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_0200.pth.tar"
    one, two = trunk(small_resnet()) | projector("fc"), other(trunk(small_resnet())) | projector("fc")
    torch.save({"state_dict": prefixed("module.encoder_q.", one) | prefixed("module.encoder_k.", two)}, path)
    told = bench("adapters", "which", path)
    assert told.code == 0, told.err
    for said in ("adapter: moco_v2", "recognised by encoder_q.conv1.weight", "blocks=[1, 1, 1, 1]", "flip sequential"):
        assert said in told.out
    assert "weights: state_dict.encoder_q; --weights chooses another: state_dict.encoder_k" in told.out
    found = bench("adapters", "which", path, "--json").json
    assert (found["adapter"], found["weights"], found["question"]) == ("moco_v2", "state_dict.encoder_q", [])
    assert found["other_weights"] == ["state_dict.encoder_k"]
    assert found["network"]["options"]["outputs"] == [16, 16, 32, 64]
    assert (found["input"]["height"], found["feature"]["flip"]) == (256, "sequential")
    assert any(name.endswith("fc.0.weight") for name in found["unused"])


def test_which_asks_where_no_card_reads_the_file_or_the_user_must_choose(bench: Bench, tmp_path: Path) -> None:
    torch.save({"net_a": trunk(small_resnet()), "net_b": other(trunk(small_resnet()))}, tmp_path / "two.pth")
    two = bench("adapters", "which", tmp_path / "two.pth")
    assert two.code == 1
    assert "net_a" in two.err
    chosen = bench("adapters", "which", tmp_path / "two.pth", "--weights", "net_b", "--json")
    assert (chosen.code, chosen.json["adapter"], chosen.json["weights"]) == (0, "resnet_trunk", "net_b")
    torch.save({"stem.weight": torch.ones(3, 3)}, tmp_path / "none.pth")
    none = bench("adapters", "which", tmp_path / "none.pth", "--json")
    assert none.code == 1
    assert none.json["adapter"] is None
    assert "no adapter knows" in none.json["question"][0]
    assert bench("adapters", "which", tmp_path / "gone.pth").code == 3


def test_list_groups_the_cards_by_family_and_says_what_each_was_held_to(bench: Bench) -> None:
    cards = bench("adapters", "list", "--json").json
    assert {card["name"] for card in cards} == set(all_cards())
    assert [card["family"] or "other" for card in cards] == sorted(card["family"] or "other" for card in cards)
    rows = bench("adapters", "list", "--markdown").out.splitlines()
    assert rows[0] == "| family | adapter | reads | feature, flip | held to |"
    assert len(rows) == 2 + len(cards)
    assert "leaderboard methods" in bench("adapters", "list").out


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
