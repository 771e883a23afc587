from __future__ import annotations

import pytest
import torch

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.card import Layout
from sysu30k_bench.models.cards import all_cards, find_card
from sysu30k_bench.models.load import load_embedder, require_fit
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.matching.fit import Fit
from sysu30k_bench.models.matching.flat_tensors import flatten
from sysu30k_bench.models.matching.layouts import apply_layout, known_layouts, layout_prefixes
from tests.models.checkpoints import FOUND, TRUNKS, State, Writer, as_file, dgl, small_resnet, trunk


def assert_same_trunk(fit: Fit, content: dict[str, object], state: State) -> None:
    embedder, coverage = load_embedder(fit, as_file(content))
    loaded = embedder.trunk.state_dict()
    for name, value in trunk(state).items():
        assert torch.equal(loaded[name], value), name
    assert coverage.complete


@pytest.mark.parametrize(("card", "write"), FOUND.values(), ids=FOUND)
def test_every_layout_that_names_its_method_is_found_and_gives_the_same_network(card: str, write: Writer) -> None:
    state = small_resnet()
    content = write(state)
    detected = detect_card(as_file(content))
    assert detected.card.name == card
    assert_same_trunk(detected.fit, content, state)
    assert_same_trunk(require_fit(find_card(card), as_file(content)), content, state)


def test_the_logits_of_dgl_are_found(resnet50_state: State) -> None:
    content: dict[str, object] = dict(dgl(resnet50_state))
    detected = detect_card(as_file(content))
    assert (detected.card.name, detected.fit.layout.name) == ("dgl", "dgl")
    assert_same_trunk(detected.fit, content, resnet50_state)


@pytest.mark.parametrize(("card", "write"), TRUNKS.values(), ids=TRUNKS)
def test_every_toolbox_file_is_a_trunk_without_a_method_until_one_is_named(card: str, write: Writer) -> None:
    state = small_resnet()
    content = write(state)
    detected = detect_card(as_file(content))
    assert detected.card.name == "resnet_trunk"
    assert detected.card.feature.flip == "sequential"
    assert "--flip" in detected.card.checkpoint.caution
    assert_same_trunk(detected.fit, content, state)
    assert_same_trunk(require_fit(find_card(card), as_file(content)), content, state)


def test_weights_without_batch_counters_load() -> None:
    state = small_resnet()
    old: dict[str, object] = {n: value for n, value in state.items() if not n.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    fit = require_fit(find_card("resnet50"), as_file(old))
    assert (fit.coverage.complete, fit.coverage.loaded) == (True, len(old) - 2)


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
    renamed, origin = apply_layout(layout, {"m.a": 1, "m.b": 2, "other": 3})
    assert renamed == {"b": 1, "c": 2}
    assert origin == {"b": "m.a", "c": "m.b"}


def prefixes(layout: Layout, *names: str, **entries: object) -> list[str]:
    return layout_prefixes(layout, flatten({**dict.fromkeys(names, torch.ones(2)), **entries}))


def test_a_layout_finds_every_prefix_below_which_it_fits() -> None:
    layout = Layout(name="x", requires=[r"conv\.weight", r"fc\..*"])
    assert prefixes(layout, "conv.weight", "fc.bias") == [""]
    names = ("a.conv.weight", "a.fc.bias", "b.c.conv.weight", "b.c.fc.bias", "d.conv.weight", "xfc.bias")
    assert prefixes(layout, *names) == ["a.", "b.c."]
    assert prefixes(layout, "my_conv.weight", "fc.bias") == []


def test_a_layout_may_forbid_and_ask_for_an_entry_of_the_file() -> None:
    layout = Layout(name="x", requires=["w", "@author"], forbids=[r"neck\..*"])
    assert prefixes(layout, "w", author="me") == [""]
    assert prefixes(layout, "w") == []
    assert prefixes(layout, "w", "neck.bias", author="me") == []
    inside = {"model": {"w": torch.ones(2)}, "neck": {"bias": torch.ones(2)}, "author": "me"}
    assert layout_prefixes(layout, flatten(inside)) == ["model."]


def test_a_layout_that_asks_for_nothing_begins_at_mappings_and_where_names_part() -> None:
    ones = torch.ones(2)
    inner = {f"model.{part}.{number}.w": ones for part in ("backbone", "slow") for number in range(3)}
    found = layout_prefixes(Layout(name="x"), flatten({"state_dict": inner}))
    assert found == ["", "state_dict.", "state_dict.model.", "state_dict.model.backbone.", "state_dict.model.slow."]
    taken = layout_prefixes(Layout(name="x", take="a."), flatten({"a.w": ones, "b.w": ones}))
    assert taken == [""]


def test_every_name_in_a_card_is_a_known_layout_and_no_name_is_used_twice() -> None:
    names = list(known_layouts())
    for card in all_cards().values():
        own = [layout.name for layout in card.checkpoint.layout]
        names += own
        assert set(card.checkpoint.layouts) <= set(known_layouts())
        assert card.checkpoint.marks <= set(own) | set(card.checkpoint.layouts), card.name
        assert set(card.checkpoint.cautions) <= set(own) | set(card.checkpoint.layouts), card.name
    assert not {name for name in names if names.count(name) > 1}
