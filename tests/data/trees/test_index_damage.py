"""An index that is not, to the last bit, this tar's own is made anew; one that is damaged in use is an error."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.trees import tar_index
from sysu30k_bench.data.trees.tar import TarIndex
from sysu30k_bench.data.trees.tar_index import ready_index
from sysu30k_bench.data.trees.tar_scan import scan
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.progress import Silent
from tests.data.trees.archives import tar_with
from tests.data.trees.test_tar_index import many

THEN = 1_000_000_000


def small(path: Path, count: int = 30) -> Path:
    tar_with(path, *[(f"g/{number:03d}_c1_1.jpg", bytes([number % 256]) * 9) for number in range(count)])
    os.utime(path, (THEN, THEN))
    return path


def flipped(content: bytes, bit: int) -> bytes:
    harmed = bytearray(content)
    harmed[bit // 8] ^= 1 << bit % 8
    return bytes(harmed)


def test_any_flipped_bit_makes_the_index_anew(tmp_path: Path) -> None:
    path = small(tmp_path / "t.tar")
    place = ready_index(path, Silent())
    whole = place.read_bytes()
    for bit in np.random.default_rng(0).choice(len(whole) * 8, 40, replace=False).tolist():
        place.write_bytes(flipped(whole, bit))
        assert ready_index(path, Silent()) == place
        assert place.read_bytes() == whole, bit


def test_an_index_with_a_member_less_and_its_own_digest_of_nothing(tmp_path: Path) -> None:
    """As the silent ones were: a data base that SQLite reads without a complaint."""
    path = small(tmp_path / "t.tar")
    place = ready_index(path, Silent())
    with closing(sqlite3.connect(place)) as index:
        index.execute("delete from member where key = 'g/007_c1_1.jpg'")
        index.commit()
    assert TarIndex(path, ready_index(path, Silent())).count() == 30


@pytest.mark.parametrize("kept", [0, 1, 60, 4096, -70, -1])
def test_an_index_cut_short_is_made_anew(tmp_path: Path, kept: int) -> None:
    path = small(tmp_path / "t.tar")
    place = ready_index(path, Silent())
    whole = place.read_bytes()
    place.write_bytes(whole[:kept])
    ready_index(path, Silent())
    assert place.read_bytes() == whole


def test_the_index_of_another_tar_of_the_same_size_and_time_is_made_anew(tmp_path: Path) -> None:
    path = small(tmp_path / "t.tar")
    other = tmp_path / "o.tar"
    other.write_bytes(path.read_bytes().replace(b"g/007_c1", b"g/999_c1"))
    os.utime(other, (THEN, THEN))
    place = ready_index(path, Silent())
    shutil.copy(ready_index(other, Silent()), place)
    index = TarIndex(path, ready_index(path, Silent()))
    assert index.find("g/007_c1_1.jpg") is not None
    assert index.find("g/999_c1_1.jpg") is None


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(4080), b"x" * 100, b"SQLite format 3\0"])
def test_what_is_no_index_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = small(tmp_path / "t.tar")
    (tmp_path / ".t.tar.index.sqlite").write_bytes(content)
    assert TarIndex(path, ready_index(path, Silent())).count() == 30


def interrupted(path: Path, monkeypatch: pytest.MonkeyPatch, after: int = 70) -> Path:
    """Leaves the beginning of an index, as Ctrl-C does."""

    def stumbling(tar: Path, start: int = 0) -> object:
        for number, found in enumerate(scan(tar, start)):
            if number == after:
                raise KeyboardInterrupt
            yield found

    with monkeypatch.context() as patch:
        patch.setattr(tar_index, "_AT_ONCE", 30)
        patch.setattr(tar_index, "scan", stumbling)
        with pytest.raises(KeyboardInterrupt):
            ready_index(path, Silent())
    return path.with_name(f".{path.name}.index.sqlite.partial")


def rows(index: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(index)) as opened:
        return list(opened.execute("select * from member"))


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_in_a_half_made_index_is_never_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    path = many(tmp_path / "t.tar", 100)
    expected = rows(ready_index(path, Silent()))
    (tmp_path / ".t.tar.index.sqlite").unlink()
    partial = interrupted(path, monkeypatch)
    content = partial.read_bytes()
    partial.write_bytes(flipped(content, int(np.random.default_rng(seed).integers(len(content) * 8))))
    assert rows(ready_index(path, Silent())) == expected


def _half_named(partial: Path) -> None:
    partial.rename(partial.with_name(partial.name.removesuffix(".partial")))


def _one_row_less(partial: Path) -> None:
    with closing(sqlite3.connect(partial)) as index:
        index.execute("delete from member where key = (select max(key) from member)")
        index.commit()


def _another_table(partial: Path) -> None:
    partial.unlink()
    with closing(sqlite3.connect(partial)) as index:
        index.executescript("create table member (a); create view state as select 'size' name, 1 value;")


@pytest.mark.parametrize("harm", [_half_named, _one_row_less, _another_table])
def test_a_half_made_or_foreign_index_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
) -> None:
    path = many(tmp_path / "t.tar", 100)
    harm(interrupted(path, monkeypatch))
    assert TarIndex(path, ready_index(path, Silent())).count() == 100


def test_an_index_that_was_sealed_and_not_yet_named_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "t.tar", 50)
    place = ready_index(path, Silent())
    whole = place.read_bytes()
    place.rename(tmp_path / ".t.tar.index.sqlite.partial")
    starts = []

    def noted(tar: Path, start: int = 0) -> object:
        starts.append(start)
        return scan(tar, start)

    monkeypatch.setattr(tar_index, "scan", noted)
    assert ready_index(path, Silent()).read_bytes() == whole
    assert starts[0] > 0


def test_damage_while_it_is_in_use_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = small(tmp_path / "t.tar", 3000)
    place = ready_index(path, Silent())
    index = TarIndex(path, place)
    place.write_bytes(place.read_bytes()[:100] + bytes(8000))
    for read in (index.count, lambda: index.find("g/001_c1_1.jpg"), lambda: list(index.below("")), index.roots):
        with pytest.raises(IntegrityError, match="damaged or removed while it was in use") as caught:
            read()
        assert "rebuilds the index" in str(caught.value.hint)


def test_a_name_that_is_no_text_and_leads_out_is_a_fault(tmp_path: Path) -> None:
    names = [b"/out\xff.jpg", b"../up\xff.jpg"]
    path = tar_with(tmp_path / "t.tar", *[(name.decode("utf-8", "surrogateescape"), b"x") for name in names])
    reasons = [fault.reason for fault in TarIndex(path, ready_index(path, Silent())).faults()]
    assert reasons == ["an absolute path", "a path with `..`"]
