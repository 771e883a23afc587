"""numpy's arrays, scalars and dtypes out of a pickle are numpy's, bit by bit; what is no numbers stays described."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.faults import Damaged, NotPlain
from sysu30k_bench.models.formats.pickles.arrays import PendingArray, PendingDtype, array_of
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import same

CODES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", "?", "S3", "U2", "S0", "U0"]
SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3), (0, 2), (2, 0), (2, 3, 2), (1,) * 32]


def filled(code: str, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape, dtype=int))
    if code[-2:] in ("S0", "U0"):
        return np.zeros(shape, code)
    values = np.arange(count) % 100
    return (values.astype(str) if code[-2] in "SU" else values).astype(code).reshape(shape)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("code", [order + code for code in CODES for order in "<>"])
def test_arrays_of_every_kind_shape_and_order(tmp_path: Path, code: str, protocol: int) -> None:
    arrays = [filled(code, shape) for shape in SHAPES]
    arrays += [np.asfortranarray(filled(code, (2, 3))), filled(code, (4, 3))[::2], filled(code, (2, 3, 2)).T]
    content = {"arrays": arrays, "scalars": [filled(code, (2,))[1]], "again": arrays[1]}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found: Any = read_content(tmp_path / "w.pkl")
    assert same(found, content)
    assert found["again"] is found["arrays"][1]
    for one, expected in zip(found["arrays"], content["arrays"], strict=True):
        assert one.flags.writeable
        assert one.dtype.isnative
        assert one.flags.f_contiguous == expected.flags.f_contiguous


OTHERS: dict[str, Any] = {
    "objects": np.array([{"a": 1}, None], dtype=object),
    "dates": np.array(["2020-01-01"], "M8[s]"),
    "spans": np.array([1], "m8[s]"),
    "records": np.array([(1, 2.0)], "i4,f4"),
    "raw": np.zeros(2, "V4"),
    "array of records": np.rec.array([(1, 2.0)], "i4,f4"),
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "record": np.array([(1, 2.0)], "i4,f4")[0],
    "date": np.datetime64("2020-01-01"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", OTHERS)
def test_arrays_of_other_things_than_numbers_are_described(tmp_path: Path, name: str, protocol: int) -> None:
    content = {"odd": OTHERS[name], "w": np.arange(3.0)}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found: Any = read_content(tmp_path / "w.pkl")
    assert isinstance(found["odd"], StandIn)
    assert found["odd"].args or found["odd"].states
    assert same(found["w"], content["w"])


def test_an_array_of_objects_is_described_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"odd": OTHERS["objects"]}, protocol=2))
    found: Any = read_content(tmp_path / "w.pkl")["odd"]
    assert str(found).endswith("multiarray._reconstruct")
    assert found.args == (Global("numpy", "ndarray"), (0,), b"b")
    assert [state[-1] for state in found.states] == [[{"a": 1}, None]]


def dtype(code: object = "f4", *states: object) -> PendingDtype:
    made = PendingDtype(Global("numpy", "dtype"), (code, False, True))
    for state in states:
        made.settle(state)
    return made


def pending() -> PendingArray:
    return PendingArray(Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"),), lambda _: None)


ONE = np.array([1.5], "<f4").tobytes()
STATE = (3, "<", None, None, None, -1, -1, 0)


@pytest.mark.parametrize(
    "state",
    [
        *(None, 5, {}, [1, (1,), dtype(), False, ONE], (), ((1,), dtype(), ONE), (1, 2, (1,), dtype(), False, ONE)),
        *((1, (1,), "f4", False, ONE), (1, [1], dtype(), False, ONE), (1, (1,), dtype(), False, [1.5])),
        *((1, (1,), dtype(), False, "\u0100abc"), (1, (1,) + (1,) * 32, dtype(), False, ONE)),
    ],
)
def test_a_state_that_is_no_array_of_numbers_is_kept_as_it_is(state: object) -> None:
    target = pending()
    assert Builder(None, 0).state(target, state) is target
    assert target.array is None
    assert target.states == [state]
    assert target.args == (Global("numpy", "ndarray"),)


@pytest.mark.parametrize("state", [((1,), dtype(), False, ONE), (1, (1,), dtype(), True, ONE)])
def test_an_array_takes_its_first_state_only(state: tuple[object, ...]) -> None:
    target, builder = pending(), Builder(None, 0)
    assert same(builder.state(target, state), np.array([1.5], "f4"))
    first = target.array
    assert builder.state(target, (1, (1,), dtype(), False, bytes(4))) is first
    assert builder.current(target) is first
    assert target.states[0] is state


@pytest.mark.parametrize(
    ("code", "states", "expected"),
    [
        *(("f4", [], "=f4"), ("<f4", [], "<f4"), (">f4", [], ">f4"), ("?", [], "?"), ("=i8", [], "=i8")),
        *(("f4", [STATE], "<f4"), ("f4", [(3, ">", None, None, None)], ">f4"), ("u1", [(3, "|", *STATE[2:])], "u1")),
        *(("f4", [(3, "=", *STATE[2:])], "=f4"), (">f4", [STATE], "<f4"), ("S999999999", [], "S999999999")),
        *(("O8", [], None), ("M8[s]", [], None), ("V4", [], None), ("f4,f4", [], None), ("f", [], None)),
        *((5, [], None), (None, [], None), (b"f4", [], None), ("f3", [], None), ("S1000000000", [], None)),
        *(("f4", [None], None), ("f4", [[*STATE]], None), ("f4", [STATE[:4]], None), ("f4 ", [], None)),
        *(("f4", [(3, "x", *STATE[2:])], None), ("f4", [(3, "<", None, ("a",), {})], None)),
    ],
)
def test_dtypes_of_numbers_and_text_only(code: object, states: list[object], expected: str | None) -> None:
    made = dtype(code, *states)
    assert made.states == states
    assert made.args == (code, False, True)
    if expected is not None:
        assert made.dtype() == np.dtype(expected)
        return
    with pytest.raises(NotPlain):
        made.dtype()


def test_a_dtype_of_nothing_is_unknown() -> None:
    assert PendingDtype(Global("numpy", "dtype"), ()).code is None


@pytest.mark.parametrize(
    ("shape", "code", "data", "said"),
    [
        *(((-1,), "f4", ONE, "an array's shape is not made of lengths"),),
        *(((True,), "f4", ONE, "an array's shape is not made of lengths"),),
        *(((1.0,), "f4", ONE, "an array's shape is not made of lengths"),),
        *(((1 << 48, 0), "u1", b"", "an array's shape is not made of lengths"),),
        *(((2,), "f4", ONE, r"an array of shape \(2,\) and float32 has 4 bytes"),),
        *(((), "f4", ONE * 300, r"an array of shape \(\) and float32 has 1,200 bytes"),),
        *((((1 << 20) + 1,), "S0", b"", r"an array of shape \(1048577,\) and \|S0 has no bytes"),),
    ],
)
def test_shapes_that_the_bytes_do_not_have_are_damage(
    shape: tuple[object, ...], code: str, data: bytes, said: str
) -> None:
    with pytest.raises(Damaged, match=f"^{said}$"):
        array_of(data, dtype(code), shape, "C", lambda _: None)


@pytest.mark.parametrize(("shape", "code"), [((1 << 20,), "S0"), (((1 << 48) - 1, 0), "u1"), ((0,) * 32, "f4")])
def test_arrays_of_no_bytes_have_their_shape(shape: tuple[int, ...], code: str) -> None:
    found = array_of(b"", dtype(code), shape, "C", lambda _: None)
    assert (found.shape, found.dtype.char) == (shape, np.dtype(code).char)


def test_a_file_with_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    raw = pickle.dumps({"w": np.arange(3, dtype=np.int8)}, protocol=2)
    (tmp_path / "w.pkl").write_bytes(raw.replace(b"K\x03\x85", b"K\x04\x85"))
    with pytest.raises(IntegrityError, match=r"w\.pkl is damaged: an array of shape \(4,\) and int8 has 3 bytes"):
        read_content(tmp_path / "w.pkl")
