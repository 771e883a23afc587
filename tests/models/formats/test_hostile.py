"""Pickles that would run something. None may; the weights beside them are read, or the file is refused."""

from __future__ import annotations

import argparse
import builtins
import datetime as dt
import decimal
import io
import pickle
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sysu30k_bench.errors import BenchError, IntegrityError
from sysu30k_bench.models.formats.pickles.unfold import standins, unfold
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import WEIGHTS, archive, nothing_runs, same, torch_bytes

COMMAND = b"touch %s"
TEXT = b"X\x08\x00\x00\x00touch it"  # the command, as a text
OS = b"cposix\nsystem\n"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


EVIL = {
    "reduce": OS + TEXT + b"\x85R",
    "reduce by dotted stack global": text("os") + text("system.__call__") + b"\x93" + TEXT + b"\x85R",
    "inst": b"(" + TEXT + b"iposix\nsystem\n",
    "obj": b"(" + OS + TEXT + b"o",
    "newobj": OS + TEXT + b"\x85\x81",
    "newobj_ex": OS + TEXT + b"\x85}\x92",
    "newobj_ex by name": b"csubprocess\nPopen\n)}" + text("args") + TEXT + b"s\x92",
    "eval": b"cbuiltins\neval\n" + text("__import__('os').system('touch it')") + b"\x85R",
    "exec of python 2": b"c__builtin__\nexec\n" + text("import os") + b"\x85R",
    "import": b"cbuiltins\n__import__\n" + text("antigravity") + b"\x85R",
    "getattr of an import": b"cbuiltins\ngetattr\ncbuiltins\n__import__\n"
    + text("os")
    + b"\x85R"
    + text("system")
    + b"\x86R"
    + TEXT
    + b"\x85R",
    "call of a call of a call": OS + TEXT + b"\x85R)R)R)R",
    "setstate": b"cargparse\nNamespace\n)\x81}" + text("__setstate__") + OS + b"sb" + TEXT + b"b",
    "dict of an object": b"cargparse\nNamespace\n)\x81}" + text("__dict__") + b"}" + text("__class__") + OS + b"ssb",
    "slots": b"cargparse\nNamespace\n)\x81N}" + text("__reduce__") + OS + b"s\x86b",
    "state of a class": OS + b"}" + text("__call__") + OS + b"sb",
    "registry": b"\x82\x01",
    "registry, long": b"\x84\x01\x00\x00\x00",
    "buffer": b"\x97",
    "read-only buffer": TEXT + b"\x98",
    "default of a dict": b"ccollections\ndefaultdict\n" + OS + b"\x85R" + TEXT + b"Ns",
    "reconstructor": b"ccopyreg\n_reconstructor\n" + OS + b"cbuiltins\nobject\nN\x87R",
    "new object of copyreg": b"ccopyreg\n__newobj__\n" + OS + TEXT + b"\x86R",
    "partial": b"cfunctools\npartial\n" + OS + b"\x85R" + TEXT + b"\x85R",
    "tensor of a type": b"ctorch._tensor\n_rebuild_from_type_v2\n(" + OS + b"ctorch\nTensor\n" + TEXT + b"\x85NtR",
    "array of a class": b"cnumpy.core.multiarray\n_reconstruct\n" + OS + b"K\x00\x85C\x01b\x87R",
    "torch.load": b"ctorch\nload\n" + text("/etc/passwd") + b"\x85R",
    "torch.hub": b"ctorch.hub\nload\n" + text("a/b") + text("c") + b"\x86R",
    "a module's load_state_dict": b"ctorch.jit\nload\n" + TEXT + b"\x85R",
    "codec": b"c_codecs\ndecode\nC\x01x" + text("zlib") + b"\x86R",
    "encoding": b"c_codecs\nencode\n" + TEXT + text("rot13") + b"\x86R",
    "persistent id": b"(" + text("storage") + OS + text("0") + text("cpu") + b"K\x04tQ",
    "persistent id of a module": b"(" + text("module") + OS + text("f.py") + text("import os") + b"tQ",
    "persistent id in text": b"Pposix.system\n",
    "text with an escape": b"S'\\x41' \n0N",
    "open for writing": b"cbuiltins\nopen\n" + TEXT + text("w") + b"\x86R",
}


def beside_weights(evil: bytes, kind: str) -> bytes:
    """Puts the opcodes as another entry, after the weights, into a file that torch or pickle wrote."""
    entry = text("extra") + evil + b"su."
    if kind == "pickle":
        raw = pickle.dumps({"state_dict": WEIGHTS, "step": 1}, protocol=2)
        assert raw.endswith(b"u.")
        return raw[:-2] + b"u" + entry.removesuffix(b"su.") + b"s."
    raw = torch_bytes({"state_dict": WEIGHTS, "step": 1}, "legacy")
    end = raw.index(b"u.\x80\x02]")  # the object's end, before the list of storages
    return raw[:end] + b"u" + text("extra") + evil + b"s." + raw[end + 2 :]


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("name", EVIL)
def test_nothing_of_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(torch_bytes({"state_dict": WEIGHTS, "step": 1}))) as file:
            parts = {entry.partition("/")[2]: file.read(entry) for entry in file.namelist()}
        pickled = parts["data.pkl"][:-2] + b"u" + text("extra") + EVIL[name] + b"s."
        archive(path, pickled, {key[5:]: value for key, value in parts.items() if key.startswith("data/")})
    else:
        path.write_bytes(beside_weights(EVIL[name], kind))
    found: Any = None
    refused: list[BenchError] = []
    with nothing_runs():
        try:
            found = read_content(path)
            unfold(found)
        except BenchError as error:
            refused.append(error)
    if found is not None:
        assert same(found["state_dict"], WEIGHTS)
        assert list(standins(found)) or "extra" in found
    assert all(str(path) in str(error) and error.hint for error in refused)
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("name", EVIL)
def test_alone_it_is_refused_or_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02" + EVIL[name] + b".")
    with nothing_runs():
        try:
            found = read_content(tmp_path / "w.pkl")
        except BenchError:
            found = {}
    assert not any(isinstance(value, torch.Tensor) for value in found.values())
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.pkl"]


def test_the_watch_sees_what_runs(tmp_path: Path) -> None:
    """The sentinel itself: the standard library's reader sets it off."""
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02cbuiltins\neval\n" + text("1+1") + b"\x85R.")
    with pytest.raises(AssertionError), nothing_runs():
        pickle.loads((tmp_path / "w.pkl").read_bytes())  # noqa: S301 - that is what the test is about
    assert "antigravity" not in sys.modules
    assert builtins.eval is eval


def test_classes_that_are_installed_are_not_looked_up_either(tmp_path: Path) -> None:
    content = {"args": argparse.Namespace(lr=0.1), "when": dt.datetime(2020, 1, 1), "n": decimal.Decimal("1.5")}
    torch.save({**content, "state_dict": WEIGHTS}, tmp_path / "w.pth")
    with nothing_runs():
        found: Any = read_content(tmp_path / "w.pth")
    assert found["args"].attributes == {"lr": 0.1}
    assert str(found["when"]) == "datetime.datetime"
    assert found["n"].args == ("1.5",)


@pytest.mark.parametrize(("kind", "length"), [(b"S0", b"\x8a\x05\0\0\0\0\x02\x85"), (b"U0", b"J\xff\xff\xff\x7f\x85")])
def test_an_array_of_nothing_takes_no_memory(tmp_path: Path, kind: bytes, length: bytes) -> None:
    """numpy gives each of its texts of no length a byte: 8 GB out of a hundred bytes."""
    made = (
        b"cnumpy._core.numeric\n_frombuffer\n(C\0cnumpy\ndtype\n(X\x02\0\0\0"
        + kind
        + b"tR"
        + length
        + b"X\x01\0\0\0CtR"
    )
    (tmp_path / "a.pkl").write_bytes(b"\x80\x03}X\x01\0\0\0a" + made + b"s.")
    with pytest.raises(IntegrityError, match="has no bytes"):
        read_content(tmp_path / "a.pkl")
