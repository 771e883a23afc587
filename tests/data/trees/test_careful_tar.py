"""Headers of tars that would keep `tarfile` busy, and those of real programs that only look so."""

from __future__ import annotations

import io
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest

from benchmarks.fuzz.seeds.trees import END, IMAGE, header, padded, pax
from sysu30k_bench.data.trees.tar_scan import first_names, scan
from sysu30k_bench.errors import DataError
from sysu30k_bench.models.formats.foreign import foreign

DIGITS = b"1" * 300_000
MANY = b"4 =\n" * 60_000
HOSTILE = {
    "a chain of long names": header("././@LongLink", b"L", 5) + padded(b"abcd\0"),
    "gigabytes of a name": header("././@LongLink", b"L", 1 << 40) + padded(b"x"),
    "gigabytes of records": header("p", b"x", 1 << 40) + padded(b"x"),
    "digits": header("p", b"x", len(DIGITS)) + padded(DIGITS),
    "records of no value": header("p", b"x", 44) + padded(b"4 a\n" * 10 + b"4 =\n"),
    "many records": header("p", b"x", len(MANY)) + padded(MANY),
    "a size below zero": pax(("size", "-2048")),
}


@pytest.mark.parametrize("before", [b"", IMAGE * 3])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_costs_no_more_than_it_is_long(tmp_path: Path, name: str, before: bytes) -> None:
    path = tmp_path / "a.tar"
    times = 700 if name.startswith("a chain") else 1
    path.write_bytes(before + HOSTILE[name] * times + IMAGE + END)
    started = time.process_time()
    tracemalloc.start()
    try:
        if not before:
            with pytest.raises(DataError, match="is not a tar that can be read in place"):
                list(scan(path))
            assert first_names(path, 5) == []
        else:
            found = list(scan(path))
            keys = [one.key for one in found if one.fault is None]
            assert keys[:3] == ["a.jpg"] * 3
            assert len(keys) <= 4  # the member behind it, or the last header of a chain with its name
            assert [one for one in found if one.fault is not None]
            assert len(found) < 100
        named = foreign(path, path.read_bytes()[:4096])
        assert named is not None
        assert "tar archive" in named.what
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 5


def test_a_member_with_less_than_nothing_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(pax(("size", "-5")) + IMAGE + IMAGE + END)
    found = next(scan(path))
    assert (found.key, found.fault) == ("a.jpg", "its size is below zero")


def test_long_names_and_records_of_real_programs_are_read(tmp_path: Path) -> None:
    long = "/".join(["gallery", "x" * 90, "y" * 90, "1_c1_1.jpg"])
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{kind}.tar"
        with tarfile.open(path, "w", format=kind, pax_headers={"comment": "made here"}) as archive:
            for number in range(40):
                info = tarfile.TarInfo(f"{long}-{number}.jpg")
                info.size, info.mtime = 4, 1.5 + number
                info.pax_headers = {"SCHILY.xattr.user.x": "z" * 5000}
                archive.addfile(info, io.BytesIO(b"abcd"))
        assert [one.key for one in scan(path) if one.fault is None] == [f"{long}-{number}.jpg" for number in range(40)]
