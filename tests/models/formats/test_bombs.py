"""Small files that claim to be large: refused or read in time and memory that their size allows."""

from __future__ import annotations

import resource
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sysu30k_bench.errors import BenchError, IntegrityError
from sysu30k_bench.models.formats.pickles import machine
from sysu30k_bench.models.formats.pickles.unfold import standins, unfold
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import archive, torch_bytes


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def entry(value: bytes) -> bytes:
    """A pickle of a dict with one entry."""
    return b"\x80\x04}" + text("w") + value + b"s."


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
DTYPE = (
    b"cnumpy\ndtype\n"
    + text("u1")
    + b"\x89\x88\x87R(K\x03"
    + text("|")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
BIG = 1 << 20

BOMBS = {
    "laughing tuples": entry(b"K\x01\x85" + b"2\x86" * 200),
    "laughing lists": entry(b"]K\x01a" + b"".join(b"q%c](h%ch%ce" % (n, n, n) for n in range(200))),
    "laughing dicts": entry(b"}K\x01K\x01s" + b"".join(b"q%c}(K\x00h%cK\x01h%cu" % (n, n, n) for n in range(200))),
    "laughing objects": entry(
        b"cx\nY\n)\x81" + b"".join(b"q%ccx\nY\n)\x81}(K\x00h%cK\x01h%cub" % (n, n, n) for n in range(200))
    ),
    "deep lists": entry(b"]" * 500_000 + b"a" * 499_999),
    "deep tuples": entry(b")" + b"\x85" * 500_000),
    "deep dicts": entry(b"}" + b"".join(b"}K\x002s0" for _ in range(5)) + b"K\x00}" * 100_000 + b"s" * 100_000),
    "deep objects": entry(b"cx\nY\n)\x81" + b"cx\nY\nq\x00)\x81" + b"h\x00)\x81" * 20_000 + b"b" * 20_001),
    "deep tuple as key": b"\x80\x04})" + b"\x85" * 200_000 + b"K\x01s.",
    "marks": entry(b"(" * 500_000 + b"t" * 500_000),
    "list in itself": entry(b"]q\x00h\x00a"),
    "dict in itself": entry(b"}q\x00K\x01h\x00s"),
    "tuple in itself": entry(b"]q\x00h\x00\x85a"),
    "object in itself": entry(b"cx\nY\n)\x81q\x00}" + text("me") + b"h\x00sb"),
    "module in itself": entry(
        b"cx\nY\n)\x81q\x00}(" + text("_parameters") + b"}" + text("_modules") + b"}" + text("a") + b"h\x00s" + b"ub"
    ),
    "all in itself": b"\x80\x04}q\x00K\x01h\x00s.",
    "long text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", (1 << 64) - 1) + b"x.",
    "long bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",
    "long number": entry(b"\x8b" + struct.pack("<i", BIG) + b"\x7f" * BIG),
    "negative length": b"\x80\x04\x8b\xff\xff\xff\xff.",
    "number in digits": entry(b"L" + b"9" * BIG + b"L\n"),
    "number as key": b"\x80\x04}\x8b" + struct.pack("<i", BIG) + b"\x7f" * BIG + b"K\x01s.",
    "float in digits": entry(b"F" + b"9" * BIG + b"\n"),
    "name without end": b"\x80\x04c" + b"a" * BIG,
    "long name": b"\x80\x04c" + b"a" * BIG + b"\nb\n.",
    "copied lists": entry(b"](" + b"K\x01" * BIG + b"eq\x00" + b"(" + b"cbuiltins\nlist\nh\x00\x85R" * 5_000 + b"t"),
    "copied bytes": entry(
        text("a" * BIG) + b"q\x00" + b"(" + b"c_codecs\nencode\nh\x00" + (text("latin1") + b"\x86R") * 1 + b"t"
    ),
    "many copied bytes": entry(
        text("a" * BIG) + b"q\x00c_codecs\nencode\nq\x01(" + (b"h\x01h\x00" + text("latin1") + b"\x86R") * 20_000 + b"t"
    ),
    "many copied arrays": entry(
        b"B"
        + struct.pack("<I", BIG)
        + b"\0" * BIG
        + b"q\x00"
        + DTYPE
        + b"q\x01J"
        + struct.pack("<i", BIG)
        + b"\x85q\x02("
        b"" + (ARRAY + b"(K\x01h\x02h\x01\x89h\x00tb") * 10_000 + b"t"
    ),
    "zeros by number": entry(b"cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x7f\x85R"),
    "large dtype": entry(b"cnumpy\ndtype\n" + text("S999999999") + b"\x89\x88\x87R"),
    "large array": entry(ARRAY + b"(K\x01\x8a\x06\x00\x00\x00\x00\x00\x01\x85" + DTYPE + b"\x89C\x01xtb"),
    "colliding numbers": b"\x80\x04}("
    + b"".join(b"\x8a\x0b" + ((2**61 - 1) * n).to_bytes(11, "little", signed=True) + b"N" for n in range(1, 200_000))
    + b"u.",
    "colliding tuples": b"\x80\x04}(" + b"".join(b"J%s\x85N" % struct.pack("<i", n) for n in range(200_000)) + b"u.",
    "colliding places": b"\x80\x04" + b"".join(b"Np%d\n0" % ((2**61 - 1) * n) for n in range(1, 100_000)) + b"N.",
}


@pytest.fixture
def quick() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < 30


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["zip", "pickle"])
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "w.pth"
    if kind == "zip":
        archive(path, BOMBS[name])
    else:
        path.write_bytes(BOMBS[name])
    refused: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = read_content(path)
        list(standins(found))
        count(unfold(found))
    except BenchError as error:
        refused.append(str(error))
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert all(str(path) in said or "in it" in said for said in refused)
    assert grown < 400 * len(BOMBS[name]) + (1 << 27)


def count(value: object) -> int:
    """Walks without a thought for circles or depth, as a caller may."""
    if isinstance(value, dict):
        return sum(count(inner) for inner in value.values())
    return sum(count(inner) for inner in value) if isinstance(value, list) else 1


def test_too_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MOST_OPCODES", 1000)
    (tmp_path / "w.pkl").write_bytes(b"\x80\x04N" + b"20" * 600 + b".")
    with pytest.raises(IntegrityError, match="more than 1,000 steps"):
        read_content(tmp_path / "w.pkl")


def test_what_holds_itself_is_cut_and_the_rest_is_there(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(b"\x80\x04}q\x00(" + text("me") + b"h\x00" + text("one") + b"K\x01u.")
    found: Any = read_content(tmp_path / "w.pkl")
    assert found["one"] == 1
    assert str(found["me"]) == "a container that holds itself"


V2 = b"ctorch._utils\n_rebuild_tensor_v2\n("
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"
REST = b"\x89ccollections\nOrderedDict\n)RtR"


def long(value: int) -> bytes:
    raw = value.to_bytes(12, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (4,), (1,)),
        (0, (5,), (1,)),
        (0, (4,), (2,)),
        (0, (2, 2), (3, 1)),
        (-1, (1,), (1,)),
        (0, (4,), (-1,)),
        (0, (-1,), (1,)),
        (0, (-1, -1), (1, 1)),
        (0, (2,), (1, 1)),
        (0, (1,) * 65, (1,) * 65),
        (1 << 62, (1,), (1,)),
        (0, (1 << 40,), (0,)),
        (0, (1 << 62,), (0,)),
        (0, (1 << 33, 1 << 33), (0, 0)),
        (0, (2,), (1 << 62,)),
        (1 << 40, (0,), (1,)),
        (0, (0, 1 << 62), (1, 1)),
        (0, (1 << 90,), (1,)),
    ],
)
def test_tensors_beyond_their_storage(
    tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    numbers = [b"(" + b"".join(long(number) for number in group) + b"t" for group in (size, stride)]
    path = archive(tmp_path / "w.pth", entry(V2 + STORAGE + long(offset) + b"".join(numbers) + REST), {"0": bytes(16)})
    with pytest.raises(IntegrityError, match=r"storage|make no sense"):
        read_content(path)


def test_storages_of_another_size_than_said(tmp_path: Path) -> None:
    good = entry(V2 + STORAGE + b"K\x00K\x04\x85K\x01\x85" + REST)
    assert read_content(archive(tmp_path / "a.pth", good, {"0": bytes(16)}))["w"].shape == (4,)  # type: ignore[attr-defined]
    for storages in ({"0": bytes(15)}, {"0": b""}, {"1": bytes(16)}, {}):
        with pytest.raises(IntegrityError, match=r"holds|missing"):
            read_content(archive(tmp_path / "b.pth", good, storages))
    raw = bytearray(archive(tmp_path / "c.pth", good, {"0": bytes(16)}).read_bytes())
    at = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)
    raw[at + 24] = 15
    (tmp_path / "c.pth").write_bytes(raw)
    with pytest.raises(IntegrityError, match="two sizes"):
        read_content(tmp_path / "c.pth")


def test_zip_tricks(tmp_path: Path) -> None:
    good = entry(V2 + STORAGE + b"K\x00K\x04\x85K\x01\x85" + REST)
    path = tmp_path / "w.pth"
    archive(path, good, {"0": bytes(16), "../../../evil": b"x"})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("/etc/absolute", b"x")
        file.writestr("../up", b"x")
    assert "w" in read_content(path)
    assert not (tmp_path.parent / "up").exists()
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("archive/data/0", bytes(16))
    with pytest.raises(IntegrityError, match="two entries of the name"):
        read_content(path)
    archive(path, good, {"0": bytes(16)})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("other/data.pkl", good)
    with pytest.raises(IntegrityError, match="2 pickles"):
        read_content(path)
    outside = good.replace(text("0"), text("../data.pkl"))
    assert b"../data.pkl" in outside
    with pytest.raises(IntegrityError, match="missing"):
        read_content(archive(path, outside, {"0": bytes(16)}))


@pytest.mark.usefixtures("quick")
def test_zip_bombs(tmp_path: Path) -> None:
    pickled = entry(b"B" + struct.pack("<I", 1 << 28) + bytes(1 << 27))
    path = archive(tmp_path / "w.pth", pickled, compressed=True)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(IntegrityError, match="would grow"):
        read_content(path)
    good = entry(V2 + STORAGE.replace(b"K\x04", b"J\x00\x00\x00\x02") + b"K\x00K\x04\x85K\x01\x85" + REST)
    with pytest.raises(IntegrityError, match="would grow"):
        read_content(archive(path, good, {"0": bytes(1 << 27)}, compressed=True))


def test_an_entry_that_lies_about_its_size(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.pth", entry(b"C\xff" + bytes(255)), compressed=True)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02")
    raw[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match="another size"):
        read_content(path)


def test_encrypted_and_unknown_compression(tmp_path: Path) -> None:
    for place, value, said in ((8, 1, "encrypted"), (10, 14, "method 14")):
        raw = bytearray(archive(tmp_path / "w.pth", entry(b"K\x01")).read_bytes())
        raw[raw.index(b"PK\x01\x02") + place] = value
        (tmp_path / "w.pth").write_bytes(raw)
        with pytest.raises(IntegrityError, match=said):
            read_content(tmp_path / "w.pth")


@pytest.mark.parametrize("count", [-1, 1 << 62, (1 << 63) - 1])
def test_legacy_storages_that_lie(tmp_path: Path, count: int) -> None:
    raw = torch_bytes({"w": torch.ones(4)}, "legacy")
    at = len(raw) - 16 - 8
    assert struct.unpack("<q", raw[at : at + 8]) == (4,)
    (tmp_path / "w.pth").write_bytes(raw[:at] + struct.pack("<q", count) + raw[at + 8 :])
    with pytest.raises(IntegrityError):
        read_content(tmp_path / "w.pth")
