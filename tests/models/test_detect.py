"""Which card is found, when a file is asked about, and what a refusal shows."""

from __future__ import annotations

import pytest
import torch

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.matching.detect import detect_card, explain
from tests.models.checkpoints import as_file, other, prefixed, projector, small_resnet, trunk

TRUNK = "python:sysu30k_bench.models.networks.resnets.trunk:ResNetTrunk"


def card(name: str, flip: str = "none", **layout: object) -> AdapterCard:
    own = {"name": f"{name}-layout", "requires": [r"conv1\.weight"], **layout}
    return AdapterCard.model_validate(
        {
            "name": name,
            "title": name.title(),
            "notes": f"as {name} does",
            "network": {"source": TRUNK},
            "checkpoint": {"layout": [own]},
            "feature": {"flip": flip},
        }
    )


def test_the_layout_that_asks_for_more_wins_and_the_others_are_told() -> None:
    plain, exact = card("plain"), card("exact", requires=[r"conv1\.weight", r"layer4\..*"])
    file = as_file(trunk(small_resnet()))
    for cards in ([plain, exact], [exact, plain]):
        detected = detect_card(file, cards)
        assert (detected.card.name, detected.rivals) == ("exact", ("plain",))
        assert "plain would also fit" in explain(detected, file)


def test_the_layout_that_accounts_for_more_of_the_names_wins() -> None:
    """As with byol-pytorch, whose ResNet has its classifier and is no plain classifier for that."""
    state = prefixed("online_encoder.net.", small_resnet()) | projector("online_encoder.projector")
    state |= prefixed("target_encoder.net.", other(small_resnet()))
    broad = card("broad", requires=[r"conv1\.weight", r"layer4\..*", r"fc\.weight"], ignores=[r"fc\..*"])
    exact = card("exact", requires=[r"online_encoder\.net\.conv1\.weight"], take="online_encoder.net.")
    assert detect_card(as_file(state), [broad, exact]).card.name == "exact"


def test_a_fallback_gives_way_even_where_it_asks_for_more() -> None:
    last = card("last", requires=[r"conv1\.weight", r"layer4\..*", r"bn1\..*"], fallback=True)
    file = as_file(trunk(small_resnet()))
    assert detect_card(file, [last, card("first")]).card.name == "first"
    assert detect_card(file, [last]).card.name == "last"


def test_the_same_embedding_by_two_cards_is_no_question() -> None:
    file = as_file(trunk(small_resnet()))
    one, two = card("one", flip="sequential"), card("two", flip="sequential")
    assert detect_card(file, [one, two]).card.name == "one"


def test_two_protocols_for_one_file_are_a_question_with_both_answers() -> None:
    file = as_file(trunk(small_resnet()))
    with pytest.raises(UsageError, match="could be any of: one, two") as caught:
        detect_card(file, [card("one"), card("two", flip="sequential")])
    assert caught.value.details == ["--adapter one: One; as one does", "--adapter two: Two; as two does"]
    assert "--adapter" in str(caught.value.hint)


def test_a_card_that_is_recognised_by_nothing_is_only_taken_by_name() -> None:
    silent = card("silent")
    silent = silent.model_copy(update={"checkpoint": silent.checkpoint.model_copy(update={"recognised_by": []})})
    with pytest.raises(UsageError, match="does not contain the method") as caught:
        detect_card(as_file(trunk(small_resnet())), [silent])
    assert caught.value.details == ["--adapter silent: Silent"]


def test_a_refusal_shows_the_files_parts_and_the_nearest_cards() -> None:
    state = {"net": trunk(small_resnet()) | {"bnneck.running_mean": torch.ones(64)}, "extra": {"w": torch.ones(2)}}
    del state["net"]["layer4.0.bn3.bias"]
    with pytest.raises(UsageError, match=r"no adapter knows model\.pth \(\d+ tensors\)") as caught:
        detect_card(as_file(state), [card("one"), find_card("dgl")])
    details = caught.value.details
    assert any(line.startswith("net.") and line.endswith("tensors") for line in details)
    (near,) = [line for line in details if line.startswith("nearest: one")]
    assert "(first fault: layer4.0.bn3.bias: missing)" in near


def test_the_files_own_name_may_tell_the_card() -> None:
    state = trunk(small_resnet())
    named, plain = card("named", file=r"mine_\d+\.pth"), card("plain")
    assert detect_card(as_file(state, "mine_60.pth"), [plain, named]).card.name == "named"
    assert detect_card(as_file(state, "other.pth"), [plain, named]).card.name == "plain"


def test_a_card_whose_package_is_missing_keeps_no_other_from_being_found() -> None:
    broken = card("broken").model_copy(
        update={"network": card("x").network.model_copy(update={"source": "python:no:N"})}
    )
    assert detect_card(as_file(trunk(small_resnet())), [broken, card("one")]).card.name == "one"


def test_the_options_and_the_size_that_the_file_shows_are_those_of_the_fit() -> None:
    fit = detect_card(as_file(trunk(small_resnet())), [card("one")]).fit
    assert fit.card.network.options["blocks"] == [1, 1, 1, 1]
    assert fit.card.network.options["stem"] == [8]
    assert card("one").fingerprint != fit.card.fingerprint
