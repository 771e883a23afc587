from __future__ import annotations

from pathlib import Path

import pytest

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import all_cards, find_card, parse_card

MINIMAL = 'name = "mine"\ntitle = "Mine"\n[network]\nsource = "torchvision:resnet18"\n'


def test_every_card_is_named_as_its_file_and_says_where_it_comes_from() -> None:
    cards = all_cards()
    assert {"resnet50", "dgl", "simclr", "moco_v2", "byol", "triplet"} <= set(cards)
    for path in (Path(__file__).parents[2] / "adapters").glob("*.toml"):
        assert cards[path.stem].paper is not None
        assert cards[path.stem].licence


def test_cards_of_a_family_lie_in_a_folder_and_say_what_they_were_held_to() -> None:
    cards = all_cards()
    found = sorted((Path(__file__).parents[2] / "adapters").glob("*/*.toml"))
    assert found
    for path in found:
        card = parse_card(path.read_text("utf-8"), path.name)
        assert cards[card.name] == card
        assert card.family, card.name
    assert all(card.held_to for card in cards.values() if card.family and card.checkpoint.marks)


def test_flip_normalisation_is_that_of_each_script() -> None:
    flips = {name: card.feature.flip for name, card in all_cards().items()}
    assert flips["dgl"] == flips["resnet50"] == "after_sum"
    assert {flips[name] for name in ("simclr", "moco_v2", "byol", "triplet")} == {"sequential"}
    assert find_card("dgl").feature.kind == "logits"


def test_wrong_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="no adapter") as caught:
        find_card("moco2")
    assert "moco_v2" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("colour = 1\n" + MINIMAL, "colour"),
        (MINIMAL.replace("torchvision:resnet18", "resnet18"), "source"),
        (MINIMAL.replace('"mine"', '"../mine"'), "name"),
        (MINIMAL + '[feature]\nflip = "sometimes"\n', "flip"),
        (MINIMAL + '[feature]\nkind = "logits"\nflip = "sequential"\n', "logits"),
        (MINIMAL + '[feature]\nkind = "logits"\nflip = "concat"\n', "logits"),
        (MINIMAL + "[feature]\ncamera = 0\n", "camera"),
        (MINIMAL + "[feature]\nfull_logits = true\n", "full_logits"),
        (MINIMAL + '[input]\nscale = "percent"\n', "scale"),
        (MINIMAL + '[[checkpoint.beside]]\nfile = "../opts.yaml"\nread = {}\n', "beside"),
        (MINIMAL + '[[checkpoint.beside]]\nfile = "opts.yaml"\nread = { s = "feature.flip" }\n', "beside"),
        (MINIMAL + "[input]\nheight = 1000000\n", "height"),
        (MINIMAL + '[[checkpoint.layout]]\nname = "x"\nrename = [["(", ""]]\n', "regular expression"),
        (MINIMAL + '[paper]\ntitle = "x"\nurl = "javascript:alert(1)"\n', "url"),
        (MINIMAL + '[[checkpoint.layout]]\nname = "x"\nrename = [["(a)", "\\\\3"]]\n', "does not fit"),
        (MINIMAL + f'[[checkpoint.layout]]\nname = "x"\nrequires = ["{"a" * 600}"]\n', "500 characters"),
        (MINIMAL + '[network.options]\nweights = "DEFAULT"\n', "checkpoint alone"),
        (MINIMAL + '[network.options]\ncheckpoint_path = "/etc/passwd"\n', "checkpoint alone"),
        ("name = ", "not TOML"),
        ("name = " + "[" * 50_000, "nested too deeply"),
        (MINIMAL + "[input]\nheight = " + "9" * 10_000, "too many digits"),
        (MINIMAL + "[network.options]\nwidth = 0x" + "f" * 10_000, "more than 64 bits"),
        ("", "title"),
    ],
)
def test_faults_are_named(change: str, fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_card(change, "mine.toml")
    assert fault in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_card_by_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINIMAL)
    assert find_card(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(DataError):
        find_card(str(tmp_path / "other.toml"))
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        find_card(str(tmp_path / "bad.toml"))


def test_fingerprint_is_of_what_changes_embeddings() -> None:
    card = AdapterCard.model_validate({"name": "a", "title": "A", "network": {"source": "torchvision:resnet18"}})
    assert card.fingerprint == card.model_copy(update={"title": "B", "notes": "c"}).fingerprint
    others = [
        card.model_copy(update={"feature": card.feature.model_copy(update={"flip": "none"})}),
        card.model_copy(update={"input": card.input.model_copy(update={"height": 128})}),
        card.model_copy(update={"input": card.input.model_copy(update={"scale": "byte"})}),
        card.model_copy(update={"feature": card.feature.model_copy(update={"camera": 1})}),
        card.model_copy(update={"network": card.network.model_copy(update={"source": "torchvision:resnet34"})}),
    ]
    assert len({card.fingerprint, *(other.fingerprint for other in others)}) == 6
    told = card.checkpoint.model_copy(update={"caution": "x", "recognised_by": []})
    assert card.model_copy(update={"checkpoint": told, "held_to": "y", "family": "z"}).fingerprint == card.fingerprint
