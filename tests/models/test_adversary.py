"""Files made to be evaluated wrongly in silence, or to keep the reader busy."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from sysu30k_bench.errors import BenchError, IntegrityError
from sysu30k_bench.models.load import load_embedder, require_fit
from sysu30k_bench.models.matching.fit import Fit
from sysu30k_bench.models.matching.flat_tensors import flatten
from sysu30k_bench.models.matching.roles import is_known_pair
from sysu30k_bench.models.sources import generic_card
from tests.models.checkpoints import State, as_file, other, prefixed, small_resnet, trunk

ONE = torch.ones(1)
RESNET = generic_card("python:sysu30k_bench.models.networks.resnets.trunk:ResNetTrunk")
STATISTICS = {"weight": torch.ones(64), "running_mean": torch.ones(64), "running_var": torch.ones(64)}


def fitted(content: Mapping[str, object]) -> Fit:
    return require_fit(RESNET, as_file(content))


def linear(name: str, outputs: int, inputs: int) -> State:
    return {f"{name}.weight": torch.ones(outputs, inputs), f"{name}.bias": torch.ones(outputs)}


HIDDEN: dict[str, State] = {
    "a training part's name inside a stage": {"layer4.margin.conv.weight": torch.ones(64, 64, 1, 1)},
    "a neck called a loss": prefixed("bn_loss_neck.", STATISTICS),
    "a neck called a centre": prefixed("center.bn.", STATISTICS),
    "an attention called auxiliary": linear("auxiliary_attention.query", 64, 64),
    "a branch called auxiliary": {"aux_branch.conv.weight": torch.ones(64, 64, 1, 1)},
    "a gate called a step": {"gate.step": torch.ones(64)},
    "weights called a counter": {"iter": torch.ones(64)},
    "a queue of layers": {"queue_encoder.conv.weight": torch.ones(64, 64, 1, 1)},
    "an embedding before the classifier": linear("fc", 32, 64) | linear("classifier", 5, 32),
}


@pytest.mark.parametrize("part", HIDDEN)
def test_parts_under_names_of_training_are_no_leftovers_of_it(part: str) -> None:
    content = trunk(small_resnet()) | HIDDEN[part]
    try:
        fit = fitted(content)
    except IntegrityError:
        return  # the network itself says that these are not its tensors
    assert not fit.coverage.complete
    with pytest.raises(IntegrityError, match="has no place for"):
        load_embedder(fit, as_file(content))


@pytest.mark.parametrize("prefix", ["", "state_dict.model."])
@pytest.mark.parametrize("part", ["projection_head", "predictor", "decoder", "head"])
def test_what_is_left_aside_for_its_name_alone_is_said(part: str, prefix: str) -> None:
    layers = linear(f"{part}.0", 32, 64) | linear(f"{part}.2", 16, 32)
    fit = fitted(prefixed(prefix, trunk(small_resnet()) | layers))
    assert fit.coverage.complete
    assert [note for note in fit.notes if f"{part} (4 tensors)" in note]
    assert not fitted(prefixed(prefix, small_resnet())).notes


def test_several_classifiers_of_the_same_feature_are_classifiers() -> None:
    heads = linear("classifier", 5, 64) | linear("head", 7, 64)
    fit = fitted(trunk(small_resnet()) | heads)
    assert fit.coverage.complete
    assert not fit.notes


@pytest.mark.parametrize("name", ["scaler", "opt", "meta", "history", "optimal_pool"])
def test_a_state_dict_beside_the_model_is_seen_whatever_its_name(name: str) -> None:
    content = {"model": trunk(small_resnet()), name: {"weight": torch.ones(64, 64)}}
    assert not fitted(content).coverage.complete
    optimizer = {"state": {0: {"exp_avg": ONE}}, "param_groups": []}
    assert fitted({"model": trunk(small_resnet()), "optimizer": optimizer, "scaler": {"scale": 2.0}}).coverage.complete


@pytest.mark.parametrize(
    "pair", [("ema", "swa"), ("student_ema", "model"), ("online", "net"), ("teacher", "model_ema")]
)
def test_of_two_copies_of_the_same_rank_none_is_taken(pair: tuple[str, str]) -> None:
    one, two = trunk(small_resnet()), other(trunk(small_resnet()))
    for first, second in (pair, pair[::-1]):
        if is_known_pair(f"{first}.", f"{second}."):
            pytest.fail(f"{first} and {second} are told apart")
        assert not fitted({first: one, second: two}).coverage.complete


@pytest.mark.parametrize("pair", [("teacher_ema", "teacher"), ("student", "student_old"), ("teacher", "student_ema")])
def test_the_order_of_a_file_does_not_choose_the_copy(pair: tuple[str, str]) -> None:
    one, two = trunk(small_resnet()), other(trunk(small_resnet()))
    states = {pair[0]: one, pair[1]: two}
    for content in (states, dict(reversed(states.items()))):
        assert fitted(content).prefix == f"{pair[0]}."


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_weights_that_are_no_floating_point_numbers_are_refused(dtype: torch.dtype) -> None:
    content = trunk(small_resnet())
    content["conv1.weight"] = (content["conv1.weight"] * 50).to(dtype)
    with pytest.raises(IntegrityError, match="no floating-point numbers in 1 tensor that is a weight"):
        load_embedder(fitted(content), as_file(content))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_other_floating_point_numbers_are_taken_as_they_are(dtype: torch.dtype) -> None:
    content = trunk(small_resnet())
    content["conv1.weight"] = content["conv1.weight"].to(dtype)
    embedder, _ = load_embedder(fitted(content), as_file(content))
    assert torch.equal(embedder.trunk.state_dict()["conv1.weight"], content["conv1.weight"].float())


def test_a_negative_variance_is_refused() -> None:
    content = trunk(small_resnet())
    content["bn1.running_var"] = -content["bn1.running_var"]
    with pytest.raises(IntegrityError, match="negative variances"):
        load_embedder(fitted(content), as_file(content))


@pytest.mark.parametrize(
    "content",
    [
        {"projector" * 20_000: ONE},
        {".".join("a" * 1000): ONE},
        {f"a{number}.weight": ONE for number in range(20_001)},
        {"a" * 400: {"b" * 400: ONE}},
    ],
)
def test_names_and_numbers_of_tensors_that_no_model_has_are_refused(content: Mapping[str, object]) -> None:
    with pytest.raises(IntegrityError, match=r"more than 20000 tensors|names a tensor with"):
        flatten(content)


@pytest.mark.timeout(120)
def test_a_great_many_copies_end_in_an_answer() -> None:
    state = dict.fromkeys(trunk(small_resnet()), ONE)
    content = {f"p{number}": state | {"conv1.weight": torch.ones(8, 3, 7, 7)} for number in range(150)}
    with pytest.raises(BenchError):
        load_embedder(fitted(content), as_file(content))
