"""Every step of a pickle does what the standard library's reader does, or is refused as it refuses."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.machine import PickleMachine
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import same

ONE_TWO = b"](K\x01K\x02e"
LARGEST, LARGER = (1 << 511).to_bytes(65, "little"), (1 << 512).to_bytes(65, "little")

HARMLESS = [
    *(b"I-5\n", b"I01\n", b"I00\n", b"I1\n", b"J\xfe\xff\xff\xff", b"K\xff", b"M\x01\xff"),
    *(b"L-5L\n", b"L7\n", b"\x8a\x00", b"\x8a\x02\x01\x80", b"\x8b\x02\0\0\0\x01\x80", b"\x8a\x41" + LARGEST),
    *(b"F-1.5\n", b"G\xbf\xf8\0\0\0\0\0\0", b"N", b"\x88", b"\x89"),
    *(b"S'a\\'b\\x41\\n\\xff'\n", b'S"a"\n', b"S''\n", b"T\x02\0\0\0a\xff", b"U\x02a\xff"),
    *(b"Va\\u0100 b\n", b"X\x02\0\0\0\xc4\x80", b"\x8c\x02\xc4\x80", b"\x8d\x02\0\0\0\0\0\0\0\xc4\x80"),
    *(b"B\x02\0\0\0a\xff", b"C\x02a\xff", b"\x8e\x02\0\0\0\0\0\0\0a\xff", b"\x96\x02\0\0\0\0\0\0\0a\xff"),
    *(b"]", b")", b"}", b"\x8f", b"(l", b"(t", b"(d", b"(\x91", b"(K\x01K\x02l", b"(K\x01K\x02t"),
    *(b"(K\x01\x85t", b"(K\x01K\x02\x86t", b"(K\x01K\x02K\x03\x87t", b"(K\x00K\x01K\x02K\x03\x87t"),
    *(b"(K\x01K\x02K\x03K\x04d", b"(K\x01K\x02\x91", b"]K\x01aK\x02a", b"]K\x01a(K\x02K\x03e"),
    *(b"\x8f(K\x01K\x02\x90(K\x02K\x03\x90", b"}K\x01K\x02sK\x01K\x03s", b"}K\x01K\x02s(K\x03K\x04K\x05K\x06u"),
    *(b"K\x01K\x020", b"K\x01(0", b"K\x01(K\x02K\x031", b"](K\x01(K\x02K\x031e", b"(K\x012t", b"(]2K\x01at"),
    *(b"(K\x07\x94K\x08\x94h\x01h\x00t", b"(K\x01q\x05K\x02q\x05h\x05t", b"(K\x01r\0\0\0\0j\0\0\0\0t"),
    *(b"\x95\x02\0\0\0\0\0\0\0K\x01", b"(]q\x00h\x00h\x00t"),
    *(b"cbuiltins\nlist\n" + ONE_TWO + b"\x85R", b"\x8c\x08builtins\x8c\x04list\x93" + ONE_TWO + b"\x85R"),
    *(b"(cbuiltins\ncomplex\nK\x01K\x02o", b"(cbuiltins\nlist\n" + ONE_TWO + b"o", b"(cbuiltins\ndict\no"),
    *(b"(K\x01K\x02ibuiltins\ncomplex\n", b"(" + ONE_TWO + b"ibuiltins\nlist\n", b"(ibuiltins\ndict\n"),
    *(b"cbuiltins\ncomplex\nK\x01K\x02\x86\x81", b"cbuiltins\ncomplex\nK\x01K\x02\x86}\x92"),
]
SPARSE = [
    b"(K\x01p7\nK\x02q\x08K\x03r\x09\x01\0\0g7\nh\x08j\x09\x01\0\0t",
    b"(K\x01q\xc8K\x02r\xc8\x01\x01\x01h\xc8j\xc8\x01\x01\x01t",
]

REFUSED = {
    "its pickle is damaged: a text without quotes": [
        *(b"S'\n", b'S"\n', b"S\n", b"Sa\n", b"S'a\n", b"Sa'\n", b"S'a\"\n", b"S\"a'\n", b"S \n"),
    ],
    "a step of its pickle takes more than there is": [
        *(
            b"(K\x01\x86t",
            b"(\x85t",
            b"(K\x01K\x02\x87t",
            b"(0t0",
            b"(2t",
            b"t",
            b"e",
            b"((K\x01at",
            b"(a",
            b"(K\x01st",
        ),
        *(b"(R", b"()R", b"()\x81", b"(})\x92", b"(b", b"(Nb", b"(K\x01\x93", b"(q\x00", b"(\x94", b"1"),
    ],
    "its pickle recalls a value that was not kept": [b"g5\n", b"h\x05", b"j\x05\0\0\0", b"K\x01q\x01h\x00"],
    "its pickle keeps a value under a number that makes no sense": [b"Np-1\n"],
    "its pickle puts a key without a value into a dict": [b"(K\x01d", b"}(K\x01K\x02K\x03u"],
    "its pickle takes a list for a key": [b"}]K\x01s", b"(]\x91", b"\x8f(]\x90", b"}]\x85K\x01s"],
    "its pickle appends to a int": [b"K\x01K\x02a", b"K\x01(K\x02e", b"K\x01(K\x02\x90"],
    "its pickle puts entries into a list": [b"]K\x01K\x02s", b"](K\x01K\x02u"],
    "its pickle calls a int": [b"K\x01)R", b"K\x01)\x81", b"K\x01)}\x92", b"(K\x01K\x02o"],
    "its pickle calls a NoneType": [b"(o", b"N)R"],
    "its pickle calls with arguments that are no tuple": [
        *(b"cbuiltins\nlist\n]R", b"cbuiltins\nlist\n]\x81", b"cbuiltins\nlist\n]}\x92", b"cbuiltins\nlist\n)]\x92"),
    ],
    "its pickle names a class by something that is no name": [b"K\x01\x8c\x01a\x93", b"\x8c\x01aK\x01\x93"],
    "its pickle gives a state to a int": [b"K\x01}b"],
    "its pickle is of protocol 6; 0 to 5 are known": [b"\x80\x06N"],
    "its pickle uses a registry or buffers outside of the file, as no checkpoint does": [
        *(b"\x82\x01", b"\x83\x01\0", b"\x84\x01\0\0\0", b"\x97", b"N\x98"),
    ],
    "b'\\xff' is no step of a pickle": [b"\xff"],
}


def loaded(pickled: bytes) -> Any:
    return PickleMachine(io.BytesIO(pickled), Builder(None, len(pickled))).load()


@pytest.mark.parametrize("steps", [*HARMLESS, *SPARSE])
def test_plain_values_are_what_pickle_reads(steps: bytes) -> None:
    for pickled in (steps + b".", b"\x80\x05" + steps + b".", b"\x80\x05(K\x09" + steps + b"t."):
        expected = pickle.loads(pickled, encoding="latin1")  # noqa: S301 - written above, and harmless
        assert same(loaded(pickled), expected)
        assert type(loaded(pickled)) is type(expected)


@pytest.mark.parametrize("steps", [*HARMLESS, *SPARSE])
def test_every_beginning_of_a_pickle_is_called_cut_off(tmp_path: Path, steps: bytes) -> None:
    whole = b"\x80\x05}X\x01\0\0\0w" + steps + b"s."
    for end in range(2, len(whole)):
        (tmp_path / "w.pkl").write_bytes(whole[:end])
        with pytest.raises(IntegrityError, match="is cut off: it ends in the middle of a pickle"):
            read_content(tmp_path / "w.pkl")


@pytest.mark.parametrize(("said", "steps"), [(said, steps) for said, group in REFUSED.items() for steps in group])
def test_what_pickle_refuses_is_refused_with_the_reason(tmp_path: Path, said: str, steps: bytes) -> None:
    pickled = b"\x80\x05" + steps + b"N."
    with pytest.raises(Exception):  # noqa: B017, PT011 - pickle raises errors of a dozen kinds
        pickle.loads(pickled)  # noqa: S301 - written above, and harmless
    (tmp_path / "w.pkl").write_bytes(pickled)
    with pytest.raises(IntegrityError, match=rf"w\.pkl (is damaged|cannot be read): {re.escape(said)}(\n|$)") as caught:
        read_content(tmp_path / "w.pkl")
    assert caught.value.hint


ODD_NAMES = [("x", "a b"), ("x", "a\tb"), ("x\ty", "z"), ("", "f"), ("x", ""), ("x" * 500, "y" * 500)]


@pytest.mark.parametrize(("module", "name"), ODD_NAMES)
def test_names_are_kept_as_the_file_has_them(module: str, name: str) -> None:
    lines = f"{module}\n{name}\n".encode()
    texts = b"".join(b"X" + len(part).to_bytes(4, "little") + part.encode() for part in (module, name))
    calls = {
        b"c" + lines + b"K\x01K\x02\x86R": None,
        texts + b"\x93K\x01K\x02\x86\x81": None,
        b"(K\x01K\x02i" + lines: None,
        b"(" + texts + b"\x93K\x01K\x02o": None,
        b"c" + lines + b"K\x01K\x02\x86}K\x05K\x06s\x92": {5: 6},
    }
    for steps, kwargs in calls.items():
        pickled = b"\x80\x04" + steps + b"."
        machine = PickleMachine(io.BytesIO(pickled), Builder(None, len(pickled)))
        found = machine.load()
        assert isinstance(found, StandIn)
        assert (found.made_by, found.args, found.kwargs or None) == (Global(module, name), (1, 2), kwargs)
        assert machine.named == {Global(module, name)}


def test_names_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02c" + b"x" * 500 + b"\n" + b"y" * 501 + b"\n.")
    with pytest.raises(IntegrityError, match="names a class by something that is no name"):
        read_content(tmp_path / "w.pkl")


def test_the_result_of_a_call_can_be_called_and_is_named_for_it() -> None:
    for steps in (b"cx\ngetter\n)R)R", b"cx\ngetter\n)R)R)R", b"cx\ngetter\n)R)\x81"):
        assert str(loaded(b"\x80\x02" + steps + b".")) == "x.getter()"


def test_huge_numbers_are_only_named() -> None:
    for steps in (b"\x8a\x41" + LARGER, b"\x8b\x41\0\0\0" + LARGER, b"L%d\n" % (1 << 512)):
        assert str(loaded(b"\x80\x02" + steps + b".")) == "builtins.int"
    assert loaded(b"L%d\n." % -(1 << 511)) == -(1 << 511)


def test_objects_take_elements_entries_and_states_in_their_order() -> None:
    found = loaded(b"\x80\x02cx\nY\n)\x81K\x01a(K\x02K\x03eK\x04K\x05s(K\x06K\x07K\x08K\x09uNb}K\x01K\x02sb.")
    assert (found.appended, found.items, found.states) == ([1, 2, 3], {4: 5, 6: 7, 8: 9}, [None, {1: 2}])


def test_one_pickle_after_another_begins_anew() -> None:
    pickled = b"\x80\x02cx\nY\nq\x05.\x80\x02cx\nZ\n(K\x02.h\x05."
    machine = PickleMachine(io.BytesIO(pickled), Builder(None, len(pickled)))
    assert [str(machine.load()), machine.load()] == ["x.Y", 2]
    assert (machine.opcodes, machine.named) == (7, {Global("x", "Y"), Global("x", "Z")})
    with pytest.raises(Exception, match="recalls a value that was not kept"):
        machine.load()
