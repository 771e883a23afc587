"""Each card against a state dict of its own network, whole and in the ways in which files are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.cards import all_cards
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.load import Blueprint, load_embedder, seeded_trunk
from tests.models.checkpoints import State

CARDS = {name: card for name, card in all_cards().items() if card.network.source.startswith(("python", "tor", "timm"))}
HEADS = {
    "logits": {"logits.weight": (7, 1), "logits.bias": (7,)},
    "bottleneck": {f"bottleneck.{name}": (8, 1) if name == "0.weight" else (8,) for name in
                   ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var")},
}  # fmt: skip


def load(name: str, state: State) -> object:
    return load_embedder(CARDS[name], CheckpointFile(Path("m.pth"), "0" * 64, state))[1]


@pytest.fixture(scope="module", params=sorted(CARDS))
def own(request: pytest.FixtureRequest) -> tuple[str, State, str]:
    """A card's name, a state dict in one of its layouts, and the name of one of its trunk's tensors."""
    from tests.models.write_layout import as_the_card_reads_it

    card = CARDS[request.param]
    trunk = seeded_trunk(card)
    state = dict(trunk.state_dict())
    width = {"densenet121_layumi": 1024}.get(card.name, 2048)
    for name, shape in HEADS.get(card.feature.kind, {}).items():
        state[name] = torch.ones(shape[0], width) if len(shape) == 2 else torch.ones(shape)
    blueprint = Blueprint.of(card, trunk)
    written, victim = as_the_card_reads_it(card, state, sorted(blueprint.trunk)[len(blueprint.trunk) // 2])
    return card.name, written, victim


def test_whole_and_under_data_parallel(own: tuple[str, State, str]) -> None:
    name, state, _ = own
    assert load(name, state).complete  # type: ignore[attr-defined]
    assert load(name, {f"module.{key}": value for key, value in state.items()}).complete  # type: ignore[attr-defined]


def test_one_tensor_missing(own: tuple[str, State, str]) -> None:
    name, state, victim = own
    with pytest.raises(IntegrityError, match="does not fill") as caught:
        load(name, {key: value for key, value in state.items() if key != victim})
    assert len([fault for fault in caught.value.details if fault.endswith(": missing")]) == 1


def test_one_tensor_too_many(own: tuple[str, State, str]) -> None:
    name, state, victim = own
    if "." not in victim:
        pytest.skip("a network without parts has no inside")
    extra = {victim.rpartition(".")[0] + ".unheard_of": torch.ones(3)}
    with pytest.raises(IntegrityError, match="does not fill") as caught:
        load(name, {**state, **extra})
    assert [fault for fault in caught.value.details if "unheard_of" in fault and "no place" in fault]


def test_one_of_the_wrong_shape(own: tuple[str, State, str]) -> None:
    name, state, victim = own
    with pytest.raises(IntegrityError, match="does not fill") as caught:
        load(name, {**state, victim: torch.ones(3, 1, 4, 1, 5)})
    assert [fault for fault in caught.value.details if "(3, 1, 4, 1, 5)" in fault]
