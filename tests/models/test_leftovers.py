"""What may remain of a file once a network is filled: nothing of a model is dropped without a word."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torchvision import models

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import all_cards, find_card
from sysu30k_bench.models.load import load_embedder, require_fit
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.matching.fit import Fit
from sysu30k_bench.models.sources import generic_card
from tests.models.checkpoints import State, as_file, other, prefixed, projector, small_resnet, trunk

NORM = {"weight": (64,), "bias": (64,), "running_mean": (64,), "running_var": (64,)}


def tensors(prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> State:
    return {f"{prefix}.{name}": torch.ones(shape) for name, shape in shapes.items()}


NON_LOCAL = {"g.weight": (8, 16, 1, 1), "theta.weight": (8, 16, 1, 1), "phi.weight": (8, 16, 1, 1)}
UNEXPLAINED: dict[str, State] = {
    "a bare neck": tensors("bnneck", NORM),
    "a neck of the strong baseline": tensors("bottleneck", NORM),
    "a neck of fast-reid": tensors("heads.bottleneck.0", NORM),
    "a non-local block": tensors("NL_2.0", NON_LOCAL),
    "a fifth stage": tensors("conv5", {"weight": (64, 64, 1, 1)}),
    "a second branch": tensors("branch2.0.conv1", {"weight": (16, 32, 1, 1)}),
    "a fusion of branches": tensors("fc_fusion", {"weight": (32, 64), "bias": (32,)}),
    "an embedding with its norm": tensors("fc.0", {"weight": (32, 64)}) | tensors("fc.1", {"running_mean": (32,)}),
    "a classifier with a norm in it": tensors("classifier.bn", NORM) | tensors("classifier.fc", {"weight": (5, 64)}),
    "a pooling that learns": {"pool.q": torch.ones(1)},
    "an attention": tensors("attention.query", {"weight": (64, 64), "bias": (64,)}),
}
EXPLAINED: dict[str, State] = {
    "a classifier": tensors("classifier", {"weight": (5, 64), "bias": (5,)}),
    "a classifier of two layers": tensors("head.0", {"weight": (8, 64)}) | tensors("head.2", {"weight": (5, 8)}),
    "a classifier called linear": tensors("linear", {"weight": (5, 64), "bias": (5,)}),
    "a projector": projector("projector"),
    "a projector with norms": projector("projection_head") | tensors("projection_head.1", NORM),
    "a predictor": projector("predictor"),
    "prototypes": {"prototypes.weight": torch.ones(9, 64)},
    "a queue": {"queue": torch.ones(64, 9), "queue_ptr": torch.zeros(1)},
    "centres of a loss": {"center_loss.centers": torch.ones(5, 64)},
    "counters": {"total_ops": torch.ones(1), "n_averaged": torch.tensor(3)},
    "a slow copy": prefixed("momentum_encoder.", other(trunk(small_resnet()))),
}
RESNET50 = generic_card("python:sysu30k_bench.models.networks.resnets.trunk:ResNetTrunk")


def outcome(card: AdapterCard, content: Mapping[str, object]) -> Fit:
    return require_fit(card, as_file(content))


@pytest.mark.parametrize("part", UNEXPLAINED)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_parts_of_a_model_stop_the_run_whatever_the_card(part: str, prefix: str) -> None:
    content = prefixed(prefix, trunk(small_resnet()) | UNEXPLAINED[part])
    strange = {name for name in prefixed(prefix, UNEXPLAINED[part]) if not name.endswith("num_batches_tracked")}
    for name in ("resnet50", "moco_v2", "simclr"):
        try:
            fit = outcome(find_card(name), content)
        except IntegrityError:
            continue  # the network itself says that these are not its tensors
        assert not fit.coverage.complete
        assert not strange & {fit.prefix + unused for unused in fit.coverage.unused}
        with pytest.raises(IntegrityError, match=r"has no place for|does not fill"):
            load_embedder(fit, as_file(content))


@pytest.mark.parametrize("part", UNEXPLAINED)
def test_parts_of_a_model_are_named_where_a_network_has_no_place_for_them(part: str) -> None:
    with torch.device("meta"):
        state = {**models.resnet18(weights=None).state_dict(), **UNEXPLAINED[part]}
    if part == "an embedding with its norm":
        state = {name: value for name, value in state.items() if name not in {"fc.weight", "fc.bias"}}
    fit = outcome(generic_card("torchvision:resnet18"), {"state_dict": state})
    assert fit.coverage.foreign == list(UNEXPLAINED[part])


def test_a_non_local_block_that_the_network_has_is_taken_and_not_dropped() -> None:
    extra = {f"{part}.{leaf}": (8, 16, 1, 1) if leaf == "weight" else (8,)
             for part in ("g", "theta", "phi") for leaf in ("weight", "bias")}  # fmt: skip
    norm = dict.fromkeys(["W.1.weight", "W.1.bias", "W.1.running_mean", "W.1.running_var"], (16,))
    state = trunk(small_resnet()) | tensors("NL_2.0", {**extra, "W.0.weight": (16, 8, 1, 1), "W.0.bias": (16,), **norm})
    fit = outcome(RESNET50, state)
    assert fit.coverage.complete
    assert {name for name in state if name.startswith("NL_2.") and "num_batches" not in name} <= set(fit.tensors)


@pytest.mark.parametrize("part", UNEXPLAINED)
def test_parts_of_a_model_are_never_left_aside_by_a_card_that_is_found(part: str) -> None:
    content = prefixed("model.", trunk(small_resnet()) | UNEXPLAINED[part])
    try:
        detected = detect_card(as_file(content))
    except UsageError:
        return
    layout = detected.fit.layout
    assert not set(UNEXPLAINED[part]) & set(detected.fit.coverage.unused), layout.name


@pytest.mark.parametrize("part", EXPLAINED)
@pytest.mark.parametrize("prefix", ["", "module.", "state_dict.model."])
def test_what_training_alone_needs_may_remain(part: str, prefix: str) -> None:
    inside = prefixed(prefix, trunk(small_resnet()) | EXPLAINED[part])
    fit = outcome(RESNET50, inside)
    assert fit.coverage.complete, fit.coverage.foreign
    assert len(fit.coverage.unused) >= len(EXPLAINED[part])


def test_training_parts_beside_the_model_may_remain_and_other_models_may_not() -> None:
    state = trunk(small_resnet())
    beside = {"model": state, "criterion": {"weight": torch.ones(5)}, "center_loss": {"centers": torch.ones(5, 64)}}
    assert outcome(RESNET50, beside).coverage.complete
    unknown = outcome(RESNET50, {"model": state, "attention_net": {"w": torch.ones(3)}})
    assert unknown.coverage.foreign == ["attention_net.w"]


def test_a_layout_says_what_its_training_needed_and_no_more() -> None:
    card = AdapterCard.model_validate(
        {
            "name": "x",
            "title": "X",
            "network": RESNET50.network.model_dump(),
            "checkpoint": {"layout": [{"name": "own", "ignores": [r"bnneck\..*"], "heads": False}]},
        }
    )
    state = trunk(small_resnet())
    assert outcome(card, state | UNEXPLAINED["a bare neck"]).coverage.complete
    assert outcome(card, prefixed("net.", state | UNEXPLAINED["a bare neck"])).coverage.complete
    with_classifier = outcome(card, state | EXPLAINED["a classifier"])
    assert with_classifier.coverage.foreign == ["classifier.weight", "classifier.bias"]


def test_two_copies_of_which_no_word_tells_the_role_stop_until_one_is_chosen() -> None:
    one, two = trunk(small_resnet()), other(trunk(small_resnet()))
    content = {"net_a": one, "net_b": two}
    for card in (RESNET50, find_card("resnet50")):
        with pytest.raises(IntegrityError, match="has no place for") as caught:
            load_embedder(outcome(card, content), as_file(content))
        assert "--weights" in str(caught.value.hint)
    for chosen, state in (("net_a", one), ("net_b", two)):
        file = as_file(content)
        embedder, coverage = load_embedder(require_fit(RESNET50, file, chosen), file)
        assert coverage.complete
        assert torch.equal(embedder.trunk.state_dict()["conv1.weight"], state["conv1.weight"])
        assert detect_card(file, weights=chosen).fit.prefix == f"{chosen}."
    with pytest.raises(IntegrityError, match="among the weights 'net_c'"):
        require_fit(RESNET50, as_file(content), "net_c")
    with pytest.raises(UsageError):
        detect_card(as_file(content))


@pytest.mark.parametrize(
    ("taken", "left"),
    [("state_dict_ema", "state_dict"), ("teacher", "student"), ("encoder", "momentum_encoder"), ("net", "target_net")],
)
def test_of_two_known_copies_the_projects_own_is_taken_and_the_other_can_be(taken: str, left: str) -> None:
    one, two = trunk(small_resnet()), other(trunk(small_resnet()))
    for content in ({taken: one, left: two}, {left: two, taken: one}):
        fit = outcome(RESNET50, content)
        assert (fit.coverage.complete, fit.prefix, fit.copies) == (True, f"{taken}.", [f"{left}."])
        assert fit.tensors["conv1.weight"] is one["conv1.weight"]
        chosen = require_fit(RESNET50, as_file(content), left)
        assert chosen.tensors["conv1.weight"] is two["conv1.weight"]
        assert chosen.coverage.complete


def test_a_copy_with_a_part_more_is_no_excuse_for_that_part() -> None:
    content = {"model": trunk(small_resnet()), "model_ema": trunk(small_resnet()) | UNEXPLAINED["a bare neck"]}
    fit = outcome(RESNET50, content)
    assert [name for name in fit.coverage.foreign if "bnneck" in name]


def test_a_classifier_behind_a_block_that_the_network_took_is_a_classifier() -> None:
    """As in layumi's files, whose block of linear layer, norm and classifier has one name."""
    head = {"classifier.classifier.0.weight": torch.ones(5, 64), "classifier.classifier.0.bias": torch.ones(5)}
    norm = tensors("classifier.add_block", NORM)
    counter = {"classifier.add_block.num_batches_tracked": torch.tensor(3)}
    state = trunk(small_resnet())
    layout = {"name": "own", "rename": [[r"^classifier\.add_block\.", "neck.norm."]]}
    card = AdapterCard.model_validate(
        {"name": "x", "title": "X", "network": RESNET50.network.model_dump(), "checkpoint": {"layout": [layout]}}
    )
    taken = outcome(card, state | norm | counter | head)
    assert taken.coverage.complete
    assert taken.card.network.options["neck"] is True
    assert set(head) <= set(taken.coverage.unused)
    assert set(outcome(RESNET50, state | norm | head).coverage.foreign) == set(norm | head)
    two = {"model": state | norm | head, "model_ema": state | norm | head}
    assert outcome(card, two).coverage.complete


def test_no_card_ignores_everything() -> None:
    for card in all_cards().values():
        for layout in card.checkpoint.layout:
            assert not {r".*", r".+", r"\w.*"} & set(layout.ignores), layout.name
