"""Calls in a pickle: the known ones make what torch, numpy and Python make; all others are only described."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from sysu30k_bench.models.formats.faults import Damaged
from sysu30k_bench.models.formats.pickles.arrays import PendingArray, PendingDtype
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.pickles.tensors import Records, Storage
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import WEIGHTS, forget, made_up, same, torch_bytes

WEIGHT = WEIGHTS["conv.weight"]
BYTES = torch.arange(16, dtype=torch.uint8).untyped_storage()
FLOATS = torch.arange(6.0)._typed_storage()  # type: ignore[no-untyped-call]
UTILS: Any = torch._utils
HOOKS: OrderedDict[str, object] = OrderedDict()


class Call:
    """Is pickled as a call."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.args


def tagged(**attributes: object) -> torch.Tensor:
    tensor = torch.arange(4.0)[1:]
    for name, value in attributes.items():
        setattr(tensor, name, value)
    return tensor


def v3(*args: object) -> Call:
    return Call(UTILS._rebuild_tensor_v3, BYTES, *args)


def from_type(function: Any, *args: object, kind: type = torch.Tensor) -> Call:
    return Call(torch._tensor._rebuild_from_type_v2, function, kind, args, {"tag": 1})


DEVICE, XLA, CPU = (
    UTILS._rebuild_device_tensor_from_numpy,
    UTILS._rebuild_xla_tensor,
    UTILS._rebuild_device_tensor_from_cpu_tensor,
)
MADE: dict[str, object] = {
    "attributes": tagged(tag=1),
    "buffer": nn.Buffer(torch.arange(3.0)),
    "first version": Call(UTILS._rebuild_tensor, FLOATS, 1, (2,), (2,)),
    "v2, negative": Call(UTILS._rebuild_tensor_v2, FLOATS, 1, (2,), (2,), False, HOOKS, {"neg": True}),
    "v3": v3(1, (2, 2), (1, 2), False, HOOKS, torch.uint16),
    "v3, of bytes": v3(15, (1,), (1,), False, HOOKS, torch.uint8),
    "v3, conjugate": v3(0, (1,), (1,), False, HOOKS, torch.complex64, {"conj": True}),
    "v3, negative": v3(1, (3,), (1,), False, HOOKS, torch.float32, {"neg": True}),
    "v3, attributes": from_type(UTILS._rebuild_tensor_v3, BYTES, 0, (2,), (3,), False, HOOKS, torch.int32),
    "parameter, attributes": from_type(UTILS._rebuild_parameter, WEIGHT, False, HOOKS, kind=nn.Parameter),
    "slots": Call(UTILS._rebuild_parameter_with_state, WEIGHT, False, HOOKS, ({"a": 1}, {"b": [2]})),
    "accelerator": Call(DEVICE, np.arange(6.0).reshape(2, 3), torch.float32, "cpu", False),
    "accelerator, whole numbers": Call(DEVICE, np.arange(3, dtype=np.uint8), torch.int64, "cpu", False),
    "accelerator, truth": Call(DEVICE, np.array([True, False]), torch.bool, "cpu", False),
    "accelerator, half": Call(DEVICE, np.ones(2, np.float32), torch.bfloat16, "cpu", False),
    "tpu": Call(XLA, np.arange(3, dtype=np.int16), torch.int16, "cpu", False),
    "accelerator, tensor": Call(CPU, WEIGHT, torch.float32, "cpu", False),
}


@pytest.mark.parametrize(
    ("name", "kind"),  # torch itself has no third version of its tensors in the older kind of file
    [(name, kind) for name in MADE for kind in ("zip", "legacy") if kind == "zip" or "v3" not in name],
)
def test_tensors_of_every_maker_are_what_torch_makes(tmp_path: Path, name: str, kind: str) -> None:
    raw = torch_bytes({"w": MADE[name], "other": WEIGHTS}, kind)
    (tmp_path / "w.pth").write_bytes(raw)
    expected = torch.load(io.BytesIO(raw), weights_only=False)
    if isinstance(expected["w"], nn.Parameter) or name == "buffer":
        expected["w"] = torch.empty(0).set_(expected["w"].detach())
    assert same(read_content(tmp_path / "w.pth"), expected)


SUB: Any = made_up("own_tensors.kinds.Sub", torch.Tensor)
UNREAD: dict[str, tuple[object, str]] = {
    "a tensor for an attribute": (tagged(scale=WEIGHT), "torch._tensor._rebuild_from_type_v2"),
    "tensors in slots": (
        Call(UTILS._rebuild_parameter_with_state, WEIGHT, False, HOOKS, ({}, {"scale": WEIGHT})),
        "torch._utils._rebuild_parameter_with_state",
    ),
    "type": (
        from_type(UTILS._rebuild_parameter, WEIGHT, False, HOOKS, kind=SUB),
        "torch._tensor._rebuild_from_type_v2",
    ),
    "function": (from_type(torch.neg, WEIGHT), "torch._tensor._rebuild_from_type_v2"),
    "number": (Call(DEVICE, np.float32(2), torch.float32, "cpu", False), str(DEVICE.__name__)),
    "text": (Call(DEVICE, np.array(["a"]), torch.float32, "cpu", False), str(DEVICE.__name__)),
    "complex": (Call(DEVICE, np.ones(2, complex), torch.float32, "cpu", False), str(DEVICE.__name__)),
    "quantised": (Call(DEVICE, np.ones(2), torch.qint8, "cpu", False), str(DEVICE.__name__)),
    "no tensor": (Call(CPU, np.ones(2), torch.float64, "cpu", False), str(CPU.__name__)),
    "another dtype": (Call(CPU, WEIGHT, torch.float64, "cpu", False), str(CPU.__name__)),
}


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("kind", ["zip", "legacy"])
@pytest.mark.parametrize("parameter", [False, True])
@pytest.mark.parametrize(
    "scale",
    [
        WEIGHT,
        [WEIGHT],
        (0, (WEIGHT,)),
        {"scale": WEIGHT},
        {WEIGHT: 1},
        deque([WEIGHT]),
        defaultdict(list, a=[{"b": WEIGHT}]),
        {WEIGHT},
        np.array([0.5]),
        {"a": [np.float32(0.5)]},
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_beside_a_tensor_explain_it_however_deep_they_lie(
    tmp_path: Path, scale: object, parameter: bool, kind: str, protocol: int
) -> None:
    tensor = nn.Parameter(torch.ones(3)) if parameter else torch.ones(3)
    tensor.meta = scale  # type: ignore[attr-defined]
    plain = nn.Parameter(torch.ones(3)) if parameter else torch.ones(3)
    plain.meta = {"parallel": True, "dims": [0, (1, 2.5)], "name": "w"}  # type: ignore[attr-defined]
    (tmp_path / "w.pth").write_bytes(torch_bytes({"w": tensor, "plain": plain}, kind, protocol))
    found: Any = read_content(tmp_path / "w.pth")
    assert isinstance(found["w"], StandIn)
    assert found["w"].is_tensor
    assert found["plain"].tolist() == [1.0] * 3


@pytest.mark.parametrize("name", UNREAD)
def test_tensors_whose_meaning_is_not_known_are_described(tmp_path: Path, name: str) -> None:
    content, maker = UNREAD[name]
    torch.save({"w": content, "other": WEIGHTS}, tmp_path / "w.pth")
    found: Any = read_content(tmp_path / "w.pth")
    assert isinstance(found["w"], StandIn)
    assert found["w"].is_tensor
    assert str(found["w"]).endswith(maker)
    assert same(found["other"], WEIGHTS)


F4 = PendingDtype(Global("numpy", "dtype"), ("f4", False, True))
ARRAY, OBJECT, NAME = Global("numpy", "ndarray"), Global("builtins", "object"), Global("x", "y")
RECORDS = cast("Records", None)  # the numbers are asked for at the end of a file only
FOUR = Storage(RECORDS, "0", torch.float32, 0, 4)
TENSOR, TYPE, V2 = torch.ones(1), Global("torch", "Tensor"), Global("torch._utils", "_rebuild_tensor_v2")
PLAIN = (FOUR, 0, (4,), (1,), False, {})
FLOAT = Global("torch", "float32")

ODD: dict[str, list[tuple[Any, ...]]] = {
    "builtins.list": [(5,), ("text",), (b"x",), ({1: 2},), (None,)],
    "builtins.tuple": [(5,), ("text",)],
    "builtins.set": [(5,), ([(1,)],), ([0.5],), ([1 << 60],), ([-(1 << 60)],), ([1, (2,)],)],
    "builtins.dict": [(5,), ([(1,)],), ([(1, 2, 3)],), (["ab"],), ([((1,), 2)],), ([(1 << 60, 2)],), ([(0.5, 2)],)],
    "collections.defaultdict": [(OBJECT, 5), (OBJECT, [(1,)])],
    "builtins.complex": [(), (1.0,), (1.0, True), ("1", "2"), (1.0, 2.0, 3.0)],
    "builtins.bytes": [(5,), ([1],), ("\u0100",), ("a", "utf-8")],
    "_codecs.encode": [("x", "rot13"), ("\u0100", "latin1"), (5, "latin1")],
    "copyreg._reconstructor": [(), (NAME,), (NAME, OBJECT), ("x", OBJECT, None), (NAME, OBJECT, None, None)],
    "copyreg.__newobj__": [(), ("x",), (5, NAME)],
    "numpy.core.multiarray._reconstruct": [(), (5, (0,), b"b"), (Global("numpy", "matrix"), (0,), b"b")],
    "numpy._core.multiarray.scalar": [(), (F4,), (F4, bytes(4), 5), ("f4", bytes(4)), (F4, 5), (F4, "\u0100bcd")],
    "numpy.core.numeric._frombuffer": [
        *((), (bytes(4), F4, (1,)), (bytes(4), F4, (1,), "K"), (bytes(4), "f4", (1,), "C"), (bytes(4), F4, [1], "C")),
        *((b"", F4, (0,) * 33, "C"), (5, F4, (1,), "C"), (bytes(4), F4, (1,), "C", 1)),
    ],
    "torch.Size": [(5,), ("ab",)],
    "torch.device": [(), (5,), ("cuda", 1.0), ("cuda", True), ("cuda", "1"), ("cuda", 1, 2)],
    "torch._utils._rebuild_tensor": [(), PLAIN[:3], (5, *PLAIN[1:4])],
    "torch._utils._rebuild_tensor_v2": [
        *(PLAIN[:3], (5, *PLAIN[1:]), (*PLAIN, {}, 5), (*PLAIN, {"conj": 1}), (*PLAIN, {"other": True})),
    ],
    "torch._utils._rebuild_tensor_v3": [
        *((), PLAIN, (*PLAIN, Global("torch", "qint8")), (*PLAIN, "float32"), (*PLAIN, FLOAT, {}, 5)),
        *((*PLAIN, Global("x", "float32")), (*PLAIN, FLOAT, {"other": True}), (5, *PLAIN[1:], FLOAT)),
    ],
    "torch._utils._rebuild_parameter": [(), (5,), (NAME, True, {})],
    "torch._utils._rebuild_parameter_with_state": [
        *((TENSOR, True, {}, {"a": 1, "b": TENSOR}), (TENSOR, True, {}, {"b": StandIn(NAME)})),
        *((TENSOR, True, {}, ({}, {"b": TENSOR})), (TENSOR, True, {}, ({"b": TENSOR}, None))),
    ],
    "torch._utils._rebuild_device_tensor_from_numpy": [(), (np.ones(1), FLOAT, "cpu"), (5, FLOAT, "cpu", False)],
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": [(), (TENSOR, FLOAT, "cpu"), (5, FLOAT, "cpu", False)],
    "torch._tensor._rebuild_from_type_v2": [
        *((), (V2, TYPE, PLAIN), (V2, TYPE, PLAIN, {}, 5), ("x", TYPE, PLAIN, {}), (V2, "x", PLAIN, {})),
        *((V2, NAME, PLAIN, {}), (V2, TYPE, list(PLAIN), {}), (NAME, TYPE, PLAIN, {}), (V2, TYPE, (5,), {})),
        (Global("builtins", "list"), TYPE, ([1],), {}),
    ],
    "torch.storage._load_from_bytes": [(), (b"x",), (b"x", 5), ("x",)],
    "torch.fx.graph_module.reduce_graph_module": [(), (5,), ("x", {})],
    "x.y": [(), (1, 2)],
}


@pytest.mark.parametrize(("name", "args"), [(name, args) for name, group in ODD.items() for args in group])
def test_a_known_call_with_other_arguments_is_described(name: str, args: tuple[Any, ...]) -> None:
    made_by = Global(*name.rsplit(".", 1))
    found = Builder(RECORDS, 1000).call(made_by, args, None)
    assert type(found) in (StandIn, PendingArray)
    assert isinstance(found, StandIn)
    assert (found.made_by, found.args, found.kwargs) == (made_by, args, None)
    assert (found.states, found.items, found.appended) == ([], {}, [])


def test_a_known_call_with_names_for_arguments_is_described() -> None:
    found = Builder(None, 0).call(Global("builtins", "dict"), (), {"a": 1})
    assert isinstance(found, StandIn)
    assert (found.args, found.kwargs) == ((), {"a": 1})


PYTHON: list[Call] = [
    *(Call(list), Call(tuple), Call(dict), Call(set), Call(bytes), Call(OrderedDict), Call(torch.Size)),
    *(Call(list, (1, 2)), Call(tuple, [1, 2]), Call(list, frozenset({1})), Call(set, [1, "a", b"b", None, True])),
    *(Call(dict, [(1, 2), ["a", 3], (None, 4), (b"c", 5)]), Call(dict, {(0.5, 1): 2}), Call(OrderedDict, [["a", 1]])),
    *(Call(dict, [((1 << 60) - 1, 1), (1 - (1 << 60), 2)]), Call(Counter, {"a": 2}), Call(defaultdict, list, {"a": 1})),
    *(Call(defaultdict, None, [("a", 1)]), Call(deque, [1, 2], 3), Call(complex, 1, -2.5), Call(bytes, b"ab")),
    *(Call(bytes, "a\xff", "latin-1"), Call(bytearray, "\xff", "latin-1"), Call(bytearray, b"x")),
]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_containers_of_calls_are_what_python_makes(tmp_path: Path, protocol: int) -> None:
    new = [Call(copyreg.__newobj__, complex, 1.0, 2.0), Call(copyreg.__newobj__, list)]  # type: ignore[attr-defined]
    raw = pickle.dumps({"w": [*PYTHON, *(new if protocol == 0 else ())]}, protocol=protocol)
    (tmp_path / "w.pkl").write_bytes(raw)
    found: Any = read_content(tmp_path / "w.pkl")["w"]
    for one, made in zip(found, pickle.loads(raw)["w"], strict=True):  # noqa: S301 - written above
        plain = {dict: dict, deque: list, bytearray: bytes}
        expected = next((to(made) for base, to in plain.items() if isinstance(made, base)), made)
        assert same(one, expected)
        assert isinstance(expected, type(one))


@pytest.mark.parametrize("protocol", [0, 1])
def test_objects_of_early_protocols_are_described_with_what_they_hold(tmp_path: Path, protocol: int) -> None:
    bases = {"Dict": dict, "List": list, "Number": int, "Text": str, "Plain": object}
    kinds: dict[str, Any] = {name: made_up(f"nowhere.early.{name}", base) for name, base in bases.items()}
    values = [kinds["Dict"]({"a": 1}), kinds["List"]([1, 2]), kinds["Number"](7), kinds["Text"]("x"), kinds["Plain"]()]
    for value in values:
        value.tag = 5
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"w": values}, protocol=protocol))
    forget("nowhere")
    found: Any = read_content(tmp_path / "w.pkl")["w"]
    assert [str(value) for value in found] == [f"nowhere.early.{name}" for name in bases]
    assert [value.items for value in found] == [{"a": 1}, {}, {}, {}, {}]
    assert [value.appended for value in found] == [[], [1, 2], [], [], []]
    assert [value.args for value in found] == [(), (), (7,), ("x",), ()]
    assert all(value.attributes == {"tag": 5} for value in found)


def test_a_graph_module_is_its_state_and_keeps_its_source_as_text() -> None:
    maker = Global("torch.fx.graph_module", "reduce_graph_module")
    found = Builder(None, 0).call(maker, ({"a": 1}, "import torch"), None)
    assert isinstance(found, StandIn)
    assert (found.made_by, found.args, found.states) == (maker, ("import torch",), [{"a": 1}])


def copies(count: int) -> dict[str, tuple[Any, ...]]:
    text = PendingDtype(Global("numpy", "dtype"), (f"S{count}",))
    empty = PendingDtype(Global("numpy", "dtype"), ("S0",))
    return {
        "builtins.list": ([1] * count,),
        "builtins.tuple": ([1] * count,),
        "builtins.set": ([1] * count,),
        "builtins.dict": ([(1, 2)] * count,),
        "collections.OrderedDict": (dict.fromkeys(range(count)),),
        "builtins.bytes": ("a" * count, "latin1"),
        "numpy._core.numeric._frombuffer": (bytes(count), PendingDtype(NAME, ("u1",)), (count,), "C"),
        "numpy._core.multiarray.scalar": (text, bytes(count)),
        "numpy.core.numeric._frombuffer": (b"", empty, (count,), "C"),
        "torch.storage._load_from_bytes": (bytes(count),),
        "torch._utils._rebuild_device_tensor_from_numpy": (np.ones(count, np.int8), FLOAT, "cpu", False),
    }


@pytest.mark.parametrize("name", copies(0))
@pytest.mark.parametrize("size", [0, 1000])
def test_copies_of_more_than_a_few_times_the_file_are_refused(name: str, size: int) -> None:
    made_by, args = Global(*name.rsplit(".", 1)), copies(1 << 16)[name]
    builder = Builder(None, size, lambda raw: {"read": raw})
    for _ in range(15):
        assert not isinstance(builder.call(made_by, args, None), StandIn)
    builder.spend((1 << 20) + 4 * size - 15 * ((1 << 16) + 1) - 1)
    for count in (1 << 16, 0):
        with pytest.raises(Damaged, match=r"^its pickle multiplies its values beyond reason$"):
            builder.call(made_by, copies(count)[name], None)
