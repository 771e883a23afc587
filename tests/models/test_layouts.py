from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.card import Layout
from sysu30k_bench.models.cards import all_cards, find_card
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.detect import detect_card
from sysu30k_bench.models.layouts import apply_layout, known_layouts
from sysu30k_bench.models.load import load_embedder
from tests.models.checkpoints import READABLE, RECOGNISED, State, Writer, trunk


def as_file(content: dict[str, object]) -> CheckpointFile:
    return CheckpointFile(Path("model.pth"), "0" * 64, content)


def assert_same_trunk(card_name: str, content: dict[str, object], state: State) -> None:
    embedder, coverage = load_embedder(find_card(card_name), as_file(content))
    loaded = embedder.trunk.state_dict()
    for name, value in trunk(state).items():
        assert torch.equal(loaded[name], value), name
    assert coverage.complete


@pytest.mark.parametrize(("card", "write"), RECOGNISED.values(), ids=RECOGNISED)
def test_every_recognised_layout_gives_the_same_network(card: str, write: Writer, resnet50_state: State) -> None:
    content = write(resnet50_state)
    assert detect_card(as_file(content)).name == card
    assert_same_trunk(card, content, resnet50_state)


@pytest.mark.parametrize(("card", "write"), READABLE.values(), ids=READABLE)
def test_every_toolbox_layout_is_read_and_never_guessed(card: str, write: Writer, resnet50_state: State) -> None:
    content = write(resnet50_state)
    assert_same_trunk(card, content, resnet50_state)
    with pytest.raises(UsageError) as caught:
        detect_card(as_file(content))
    assert any(f"--adapter {card}" in detail for detail in caught.value.details)


def test_weights_without_batch_counters_load(resnet50_state: State) -> None:
    old = {name: value for name, value in resnet50_state.items() if not name.endswith("num_batches_tracked")}
    assert len(trunk(old)) == 265
    assert_same_trunk("resnet50", dict(old), resnet50_state)


def test_unknown_network_is_told_with_the_remedy() -> None:
    with pytest.raises(UsageError, match="no adapter knows") as caught:
        detect_card(as_file({"stem.weight": torch.zeros(3, 3)}))
    assert "--model" in str(caught.value.hint)


def test_two_tensors_for_one_name_are_refused() -> None:
    layout = Layout(name="x", rename=[(r"^a\.", ""), (r"^b\.", "")])
    with pytest.raises(IntegrityError, match=r"a\.w and b\.w both become w"):
        apply_layout(layout, {"a.w": 1, "b.w": 2})


def test_only_the_first_rule_that_matches_is_applied() -> None:
    layout = Layout(name="x", take="m.", rename=[("^a", "b"), ("^b", "c")])
    assert apply_layout(layout, {"m.a": 1, "m.b": 2, "other": 3}) == {"b": 1, "c": 2}


def test_every_name_in_a_card_is_a_known_layout() -> None:
    for card in all_cards().values():
        own = {layout.name for layout in card.checkpoint.layout}
        assert set(card.checkpoint.layouts) <= set(known_layouts())
        assert set(card.checkpoint.recognised_by) <= own | set(card.checkpoint.layouts)
