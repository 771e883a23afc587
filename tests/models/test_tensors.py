"""A checkpoint's tensors by their paths: what is dropped from a path, what is left out, what is read as what."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.matching.flat_tensors import FlatTensors, flatten

ONE, TWO = torch.ones(2), torch.zeros(3)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module.", "module.module."],
)
def test_what_wrappers_add_goes_wherever_it_stands(prefix: str) -> None:
    outside = flatten({"state_dict": {f"{prefix}a.weight": ONE, f"{prefix}b.weight": TWO}})
    assert set(outside.tensors) == {"state_dict.a.weight", "state_dict.b.weight"}
    inside = flatten({f"model.{prefix}a.weight": ONE, "head.weight": TWO})
    assert set(inside.tensors) == {"model.a.weight", "head.weight"}
    nested = flatten({"module": {"a": {"module": {"weight": ONE}}}})
    assert set(nested.tensors) == {"a.weight"}


def test_a_name_that_only_contains_a_wrappers_word_stays() -> None:
    assert set(flatten({"my_module.weight": ONE, "modules.weight": TWO}).tensors) == {
        "my_module.weight",
        "modules.weight",
    }


def test_two_tensors_of_one_name_are_both_kept_and_one_seen_twice_is_one() -> None:
    both = flatten({"module.a": ONE, "a": TWO}).tensors
    assert len(both) == 2
    assert set(both) == {"a", "module.a"}
    assert set(flatten({"module.a": ONE, "a": ONE}).tensors) == {"a"}
    assert set(flatten({"module.a": ONE, "a": ONE.view(2)}).tensors) == {"a"}


def test_states_of_optimizers_and_the_like_are_left_out_and_weights_of_that_name_are_not() -> None:
    state = {"state": {0: {"exp_avg": ONE}}, "param_groups": []}
    content = {
        "model": {"w": ONE},
        "optimizer": state,
        "optimizer_state_dict": state,
        "optim_g": state,
        "lr_scheduler": {"last": ONE},
        "scaler": {"scale": ONE},
        "rng_state": {"cpu": ONE},
        "message_hub": {"log": ONE},
    }
    assert set(flatten(content).tensors) == {"model.w"}
    assert set(flatten({"w": ONE, "amp": {"w": ONE}}).tensors) == {"w", "amp.w"}


def test_arrays_stand_in_where_there_is_no_tensor_at_all() -> None:
    array = np.arange(4, dtype=np.float32)
    found = flatten({"w": array, "name": np.array(["x"]), "best": np.float64(0.5)}).tensors
    assert {name: value.tolist() for name, value in found.items()} == {"w": [0, 1, 2, 3]}
    assert set(flatten({"w": ONE, "labels": array}).tensors) == {"w"}


def test_lists_are_numbered_and_a_mapping_that_holds_itself_ends() -> None:
    knot: dict[str, object] = {"w": ONE}
    knot["self"] = knot
    assert set(flatten(knot).tensors) == {"w"}
    assert set(flatten({"nets": [{"w": ONE}, {"w": TWO}]}).tensors) == {"nets.0.w", "nets.1.w"}


def test_entries_and_folders_of_the_file() -> None:
    flat = flatten({"epoch": 3, "state_dict": {"w": ONE}, "ema": {"net": {"w": ONE + 1}}})
    assert flat.entries == {"epoch", "state_dict", "ema"}
    assert set(flat.folders) == {"", "state_dict.", "ema.net."}


def stand_in(kind: str, **state: object) -> StandIn:
    made = StandIn(Global("elsewhere", kind))
    made.states.append(state)
    return made


def module(**state: object) -> StandIn:
    empty: dict[str, object] = {"_parameters": {}, "_buffers": {}, "_modules": {}}
    return stand_in("Network", **{**empty, "_non_persistent_buffers_set": set(), **state})


def test_a_whole_module_gives_what_its_state_dict_would() -> None:
    inner = module(_parameters={"weight": ONE, "bias": None}, _buffers={"mean": TWO})
    outer = module(
        _modules=collections.OrderedDict(conv=inner, wrapped=module(_modules={"module": inner}), gone=None),
        _buffers={"cache": ONE + 1},
        _non_persistent_buffers_set={"cache"},
        notes={"x": ONE + 2},
    )
    assert set(flatten({"model": outer}).tensors) >= {"model.conv.weight", "model.conv.mean"}
    assert not [name for name in flatten({"model": outer}).tensors if "cache" in name or "notes" in name]


class Shared(nn.Module):
    """Uses one layer in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = self.first


def test_a_layer_that_stands_in_two_places_has_both_names(tmp_path: Path) -> None:
    from sysu30k_bench.models.formats.checkpoint import read_checkpoint

    torch.save(Shared(), tmp_path / "whole.pth")
    assert set(read_checkpoint(tmp_path / "whole.pth").flat.tensors) == set(Shared().state_dict())


def test_what_could_not_be_read_among_tensors_is_named() -> None:
    flat = flatten({"state_dict": {"a.weight": ONE, "b.weight": StandIn(Global("torch._utils", "_rebuild_qtensor"))}})
    assert dict(flat.unread) == {"state_dict.b.weight": "torch._utils._rebuild_qtensor"}
    assert not flatten({"model": {"w": ONE}, "args": StandIn(Global("argparse", "Namespace"))}).unread


def names(*found: str) -> FlatTensors:
    return FlatTensors(dict.fromkeys(found, ONE))


def test_prefixes_end_at_a_dot() -> None:
    flat = names("w.x", "a.w.x", "a.b.w.x", "no_w.x", "x")
    assert sorted(flat.prefixes_of("w.x")) == ["", "a.", "a.b."]
    assert sorted(flat.prefixes_of("x")) == ["", "a.b.w.", "a.w.", "no_w.", "w."]
    assert flat.prefixes_of("b.w.x") == ["a."]
    assert flat.prefixes_of("y") == []


def test_prefixes_by_pattern() -> None:
    flat = names("conv.weight", "net.conv.weight", "net.conv2.weight", "net.0.bias")
    assert flat.prefixes_matching(r"conv\.weight") == ["", "net."]
    assert flat.prefixes_matching(r"conv\d\.weight") == ["net."]
    assert flat.prefixes_matching(r"\d\.bias") == ["net."]
    assert flat.prefixes_matching(r"(conv|conv2)\.weight") == ["", "net."]


def test_groups_are_told_with_the_most_first() -> None:
    flat = names("net.conv.weight", "net.conv.bias", "net.fc.weight", "scale")
    assert flat.groups() == [("net.conv.*", 2), ("net.fc.*", 1), ("scale", 1)]


@pytest.mark.parametrize(
    "content",
    [
        {"m": {1: torch.zeros(3), "1": torch.ones(3)}},
        {"m": {"w": torch.zeros(3)}, "m.w": torch.ones(3)},
        {"module.w": torch.zeros(3), "w": torch.ones(3), "module": {"w": torch.full((3,), 2.0)}},
        {"w": torch.ones(3), "module.w": torch.zeros(3), "module": {"w": torch.full((3,), 2.0)}},
        {"module.w": torch.zeros(3), "module": {"w": torch.ones(3)}, "w": torch.ones(3)},
    ],
)
def test_two_tensors_of_one_name_are_refused(content: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="two tensors of the name"):
        flatten(content)


def test_a_copy_under_the_same_name_is_the_same_tensor() -> None:
    kept = flatten({"m": {"w": torch.ones(3)}, "m.w": torch.ones(3)}).tensors
    assert list(kept) == ["m.w"]


def test_a_wrapped_name_beside_the_plain_one_is_kept_whole() -> None:
    for content in ({"w": torch.ones(3), "module.w": torch.zeros(3)}, {"module.w": torch.zeros(3), "w": torch.ones(3)}):
        kept = flatten(content).tensors
        assert {name: float(value[0]) for name, value in kept.items()} == {"w": 1.0, "module.w": 0.0}


def test_an_array_that_has_a_tensors_name_is_left_aside_as_every_array_beside_tensors() -> None:
    for content in ({"m": {"w": torch.ones(3)}, "m.w": np.zeros(3)}, {"m.w": np.zeros(3), "m": {"w": torch.ones(3)}}):
        assert flatten(content).tensors["m.w"].tolist() == [1.0] * 3
