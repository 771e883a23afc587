"""Persistent ids and states: what a torch file refers to is a storage, a class or a description, or is damaged."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.checkpoint import read_checkpoint
from sysu30k_bench.models.formats.faults import Damaged
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.pickles.tensors import Records, Storage, TensorMaker
from tests.models.formats.making import same

RECORDS = cast("Records", object())
FLOAT = Global("torch", "FloatStorage")
ID = ("storage", FLOAT, "7", "cuda:0", 4)
KINDS = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.storage.UntypedStorage": torch.uint8,
    "torch.cuda.FloatStorage": torch.float32,
}


@pytest.mark.parametrize("name", KINDS)
def test_storages_of_every_kind(name: str) -> None:
    kind = Global(*name.rsplit(".", 1))
    found = Builder(RECORDS, 0).persistent(("storage", kind, "7", "cpu", 4))
    assert found == Storage(RECORDS, "7", KINDS[name], 0, 4)


@pytest.mark.parametrize(
    ("name", "key", "first", "count"),
    [
        *((ID, "7", 0, 4), ((*ID, None), "7", 0, 4), ((*ID[:2], 7, "cpu", 0), "7", 0, 0)),
        *(((*ID, ("v", 1, 3)), "7", 1, 3), ((*ID, ("v", 0, 4)), "7", 0, 4), ((*ID, ("v", 4, 0)), "7", 4, 0)),
        ((*ID[:2], "x" * 200, "cpu", 4), "x" * 200, 0, 4),
    ],
)
def test_parts_of_storages(name: object, key: str, first: int, count: int) -> None:
    assert Builder(RECORDS, 0).persistent(name) == Storage(RECORDS, key, torch.float32, first, count)


NO_NAME = "a storage has no name or no length"
NO_SENSE = "a part of a storage makes no sense"
BEYOND = "a part of a storage reaches beyond it"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *(((*ID[:4], count), NO_NAME) for count in (-1, True, 4.0, None, "4")),
        *(((*ID[:2], key, "cpu", 4), NO_NAME) for key in (None, b"7", 7.0, ("7",), "x" * 201)),
        *(((*ID, view), NO_SENSE) for view in (5, [1, 1, 3], (1, 3), ("v", 1, 3, 4))),
        *(((*ID, view), NO_SENSE) for view in (("v", 1.0, 3), ("v", True, 3), ("v", 1, 3.0), ("v", 1, True))),
        *(((*ID, ("v", *view)), BEYOND) for view in ((-1, 1), (1, -1), (1, 4), (4, 1), (5, 0), (0, 5), (5, -1))),
    ],
)
def test_storages_that_make_no_sense_are_damage(name: tuple[Any, ...], said: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(said)}$"):
        Builder(RECORDS, 0).persistent(name)


@pytest.mark.parametrize("name", [None, "a.b", (), ("module",), ID[:4], (*ID, None, 5), ("other", *ID[1:]), [*ID]])
def test_other_persistent_ids_are_described(name: object) -> None:
    found = Builder(RECORDS, 0).persistent(name)
    assert isinstance(found, StandIn)
    assert (str(found), found.args) == ("persistent id", (name,))


def test_a_file_without_numbers_of_its_own_has_no_storages() -> None:
    assert str(Builder(None, 0).persistent(ID)) == "persistent id"


@pytest.mark.parametrize(
    "kind", [Global("torch", "QInt8Storage"), Global("os", "FloatStorage"), Global("torchx", "IntStorage")]
)
def test_storages_of_unknown_kinds_are_described_by_their_class(kind: Global) -> None:
    assert str(Builder(RECORDS, 0).persistent(("storage", kind, *ID[2:]))) == str(kind)
    assert str(Builder(RECORDS, 0).persistent(("storage", "FloatStorage", *ID[2:]))) == "torch.storage"


def test_the_source_of_a_class_stands_for_the_class() -> None:
    for name in (("module", FLOAT), ("module", FLOAT, "f.py", "import os")):
        assert Builder(None, 0).persistent(name) is FLOAT


@pytest.mark.parametrize("target", [torch.ones(1), {}, [], {1}])
def test_states_of_plain_values_are_left_aside(target: object) -> None:
    assert Builder(None, 0).state(target, {"_backward_hooks": {}}) is target


@pytest.mark.parametrize(("target", "kind"), [(5, "int"), ("x", "str"), ((), "tuple"), (None, "NoneType")])
def test_states_of_values_that_have_none_are_damage(target: object, kind: str) -> None:
    with pytest.raises(Damaged, match=f"^its pickle gives a state to a {kind}$"):
        Builder(None, 0).state(target, {})


def test_the_states_of_a_description_are_kept() -> None:
    target = StandIn(FLOAT)
    for state in ({"a": 1}, None):
        assert Builder(None, 0).state(target, state) is target
    assert target.states == [{"a": 1}, None]


class InMemory:
    def get(self, key: str, itemsize: int) -> torch.UntypedStorage:
        assert (key, itemsize) == ("7", 4)
        return torch.arange(4.0).untyped_storage()


def made(*part: object, dtype: torch.dtype | None = None) -> torch.Tensor:
    maker = TensorMaker()
    tensor = maker.make(Storage(InMemory(), "7", torch.float32, 0, 4), *part, dtype=dtype)  # type: ignore[arg-type]
    maker.finish()
    return tensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16])
def test_a_tensor_is_any_part_that_torch_finds_in_the_storage(dtype: torch.dtype) -> None:
    base = torch.arange(4.0).view(dtype)
    for dimensions in range(3):
        shapes, steps = ([*itertools.product(numbers, repeat=dimensions)] for numbers in ((0, 1, 3, 8), (0, 1, 2)))
        for size, stride, offset in itertools.product(shapes, steps, (0, 1, 2, 3, 4, 7, 8, 9)):
            try:
                expected = base.as_strided(size, stride, offset)
            except RuntimeError:
                expected = None
            if not math.prod(size) and offset > len(base):
                expected = None  # torch has no bounds for a tensor of nothing
            if expected is None:
                with pytest.raises(Damaged, match=r"storage"):
                    made(offset, size, stride, dtype=dtype)
            else:
                assert same(made(offset, size, stride, dtype=dtype), expected)


def test_steps_of_nothing_repeat_a_number_within_reason() -> None:
    assert made(3, (1 << 24,), (0,))[-1] == 3
    with pytest.raises(Damaged, match=r"^a tensor of shape \(16777217,\) repeats a storage of 4$"):
        made(3, ((1 << 24) + 1,), (0,))


NUMBERS = "a tensor's shape or strides make no sense"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        *(((0, size, (1,)), NUMBERS) for size in (4, None, "4", (True,), (4.0,), (-1,), (1 << 48,), (1,) * 65)),
        *(((0, (1,), stride), NUMBERS) for stride in (1, None, {1}, (False,), (1.0,), (-1,), (1 << 48,), (1,) * 65)),
        *(
            ((offset, (1,), (1,)), "a tensor's offset, shape or strides make no sense")
            for offset in (-1, True, 0.0, None)
        ),
        *(((0, (1, 1), (1,)), "a tensor's offset, shape or strides make no sense"),),
        *(((0, (5,), (1,)), "a tensor of shape (5,) reaches beyond its storage"),),
        *(((5, (0,), (1,)), "a tensor of shape (0,) has a storage of 4 numbers"),),
    ],
)
def test_tensors_that_make_no_sense_are_damage(part: tuple[object, ...], said: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(said)}$"):
        made(*part)


def test_as_many_dimensions_and_as_long_ones_as_torch_has() -> None:
    assert made(0, [1] * 64, [1] * 64).shape == (1,) * 64
    assert made(0, (1, 0), ((1 << 48) - 1, 1)).shape == (1, 0)


def test_a_record_that_is_shorter_than_said_is_damage() -> None:
    maker = TensorMaker()
    maker.make(Storage(InMemory(), "7", torch.float32, 1, 4), 0, (1,), (1,))
    with pytest.raises(Damaged, match=r"^storage 7 holds 16 bytes, less than its tensors need$"):
        maker.finish()


def test_a_tensor_that_torch_cannot_make_is_damage_with_what_torch_says() -> None:
    maker = TensorMaker()
    maker.make(Storage(InMemory(), "7", torch.float32, 0, 4), 0, (1,), (1,), metadata={"conj": True})
    with pytest.raises(Damaged, match=r"^a tensor of shape \(1,\) cannot be: \w[^\n]+$"):
        maker.finish()


def test_a_file_that_may_be_whole_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "repeats.pth"
    torch.save({"weight": torch.zeros(1).expand((1 << 24) + 1)}, path)
    with pytest.raises(IntegrityError, match="cannot be read") as refused:
        read_checkpoint(path)
    assert "a tensor of shape (16777217,) repeats a storage of 1" in str(refused.value)
    assert "save its weights anew" in str(refused.value.hint)
