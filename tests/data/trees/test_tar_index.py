from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees import tar_index, tar_scan
from sysu30k_bench.data.trees.open_tree import open_archives
from sysu30k_bench.data.trees.tar import TarIndex
from sysu30k_bench.data.trees.tar_index import ready_index
from sysu30k_bench.data.trees.tar_scan import first_names, scan
from sysu30k_bench.errors import DataError
from sysu30k_bench.progress import Progress, Silent
from tests.data.trees.archives import link, tar_with


def index_of(path: Path) -> TarIndex:
    return TarIndex(path, ready_index(path, Silent()))


def many(path: Path, count: int = 300) -> Path:
    rng = np.random.default_rng(count)
    names = [f"g/{number:04d}/{number:04d}_c1_1.jpg" for number in rng.permutation(count)]
    return tar_with(path, *[(name, rng.bytes(int(rng.integers(1, 3000)))) for name in names])


def test_index_agrees_with_tarfile(tmp_path: Path) -> None:
    path = many(tmp_path / "a.tar")
    index = index_of(path)
    with tarfile.open(path) as tar:
        expected = {info.name: (info.offset_data, info.size) for info in tar}
        for name, where in expected.items():
            member = index.find(name)
            assert member == where
            reader = tar.extractfile(name)
            assert reader is not None
            assert index.read(name, member) == reader.read()
    assert list(index.below("g/")) == sorted(expected)
    assert list(index.below("g/0004/")) == ["g/0004/0004_c1_1.jpg"]
    assert index.count() == 300
    assert index.roots() == ["g/"]
    assert not index.complaints()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_in_every_form(tmp_path: Path, form: int) -> None:
    names = ["a/" + "x" * 90 + "/" + "y" * 60 + ".jpg", "a/Grüße 1 müde.jpg", "b\\c.jpg"]
    with tarfile.open(tmp_path / "n.tar", "w", format=form) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            tar.addfile(info)
    assert sorted(index_of(tmp_path / "n.tar").below("")) == sorted(names)


def test_of_two_members_with_one_name_the_later_counts(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "t.tar", ("a.jpg", b"old"), ("b.jpg", b"other"), ("a.jpg", b"newer"))
    tree = open_archives(path)
    assert tree.read("a.jpg") == b"newer"
    assert tree.images("") == ["a.jpg", "b.jpg"]


def test_hard_links_are_resolved_and_everything_else_is_refused(tmp_path: Path) -> None:
    device = tarfile.TarInfo("device")
    device.type = tarfile.CHRTYPE
    path = tar_with(
        tmp_path / "t.tar",
        ("./d/a.jpg", b"content"),
        link("d/same.jpg", "d/a.jpg", tarfile.LNKTYPE),
        link("d/lost.jpg", "d/nowhere.jpg", tarfile.LNKTYPE),
        link("d/soft.jpg", "/etc/passwd", tarfile.SYMTYPE),
        ("../escape.jpg", b"x"),
        ("/absolute.jpg", b"x"),
        ("d/new\nline.jpg", b"x"),
        device,
    )
    index = index_of(path)
    assert list(index.below("")) == ["d/a.jpg", "d/same.jpg"]
    assert index.read("d/same.jpg", index.find("d/same.jpg") or pytest.fail("lost")) == b"content"
    reasons = {fault.key: fault.reason for fault in index.faults()}
    assert reasons == {
        "d/lost.jpg": "a link to a file that does not exist",
        "d/soft.jpg": "not a plain file (tar type 2)",
        "../escape.jpg": "a path with `..`",
        "absolute.jpg": "an absolute path",
        "'d/new\\nline.jpg'": "a name that is not printable UTF-8",
        "device": "not a plain file (tar type 3)",
    }
    assert "6 places cannot be read" in index.complaints()[0]


@pytest.mark.parametrize("left", [1.0, 0.999, 0.7, 0.31, 0.05])
def test_a_truncated_tar_keeps_what_is_whole_and_names_what_is_not(tmp_path: Path, left: float) -> None:
    path = many(tmp_path / "t.tar", 60)
    with tarfile.open(path) as tar:
        members = [(info.name, info.offset_data, info.size) for info in tar]
    content = path.read_bytes()
    kept = int(len(content) * left)
    path.write_bytes(content[:kept])
    index = index_of(path)
    whole = [name for name, offset, size in members if offset + size <= kept]
    assert list(index.below("")) == sorted(whole)
    cut = [name for name, offset, size in members if offset <= kept < offset + size]
    assert [fault.key for fault in index.faults() if fault.key] == cut
    if left < 0.9:
        assert index.faults()


def test_reading_goes_on_behind_damaged_headers(tmp_path: Path) -> None:
    path = many(tmp_path / "t.tar", 40)
    with tarfile.open(path) as tar:
        infos = list(tar)
    content = bytearray(path.read_bytes())
    for number in (7, 8, 20):
        content[infos[number].offset : infos[number].offset + 512] = b"\xa5" * 512
    path.write_bytes(bytes(content))
    index = index_of(path)
    expected = sorted(info.name for number, info in enumerate(infos) if number not in {7, 8, 20})
    assert list(index.below("")) == expected
    faults = index.faults()
    assert [fault.offset for fault in faults] == [infos[7].offset, infos[20].offset]
    assert faults[0].size == infos[9].offset - infos[7].offset
    assert "no tar header" in str(faults[0])


@pytest.mark.parametrize("joined", [True, False])
def test_zeros_are_the_end_only_where_nothing_follows(tmp_path: Path, joined: bool) -> None:
    """A hole in a download, and tars put behind each other: what is behind is read, and the gap is told."""
    path = many(tmp_path / "t.tar", 20)
    with tarfile.open(path) as tar:
        infos = list(tar)
    content = bytearray(path.read_bytes())
    expected = {info.name for info in infos}
    if joined:
        content += many(tmp_path / "other.tar", 25).read_bytes()
        expected |= {f"g/{number:04d}/{number:04d}_c1_1.jpg" for number in range(25)}
    else:
        content[infos[5].offset : infos[5].offset + 512] = bytes(512)
        expected.discard(infos[5].name)
    path.write_bytes(bytes(content))
    index = index_of(path)
    assert set(index.below("")) == expected
    assert len(index.faults()) == 1
    assert "zeros" in str(index.faults()[0])


def test_a_member_without_a_name_is_refused_and_the_root_is_no_fault(tmp_path: Path) -> None:
    root = tarfile.TarInfo("./")
    root.type = tarfile.DIRTYPE
    index = index_of(tar_with(tmp_path / "t.tar", root, (".", b"x"), ("a.jpg", b"y")))
    assert list(index.below("")) == ["a.jpg"]
    assert [fault.reason for fault in index.faults()] == ["no name"]


def test_the_last_remark_is_made_once_whenever_the_index_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "t.tar", 30)
    with tarfile.open(path) as tar:
        end = list(tar)[-1]
    os.truncate(path, end.offset_data + -(-end.size // 512) * 512)
    monkeypatch.setattr(tar_index, "_AT_ONCE", 30)  # all members in one batch, and the remark in the next
    made, done = tar_index._insert, []

    def stumbling(index: sqlite3.Connection, batch: list[tar_scan.Found]) -> None:
        done.append(batch)
        if len(done) == 2:
            raise KeyboardInterrupt
        made(index, batch)

    monkeypatch.setattr(tar_index, "_insert", stumbling)
    with pytest.raises(KeyboardInterrupt):
        ready_index(path, Silent())
    index = index_of(path)
    assert index.count() == 30
    assert [fault.reason for fault in index.faults()] == [
        "the end mark is missing: the file may have been cut off here"
    ]


def test_a_disk_that_cannot_be_read_is_no_disk_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise OSError(5, "Input/output error")
        yield

    path = many(tmp_path / "t.tar", 5)
    monkeypatch.setattr(tar_scan, "_run", broken)
    with pytest.raises(DataError, match=r"cannot read .*Input/output error"):
        ready_index(path, Silent())


def test_a_partial_index_that_is_no_data_base_is_begun_again(tmp_path: Path) -> None:
    path = many(tmp_path / "t.tar", 5)
    (tmp_path / ".t.tar.index.sqlite.partial").write_bytes(np.random.default_rng(0).bytes(8192))
    assert index_of(path).count() == 5


def test_an_interrupted_index_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = many(tmp_path / "t.tar", 200)
    monkeypatch.setattr(tar_index, "_AT_ONCE", 30)
    starts: list[int] = []

    def stumbling(tar: Path, start: int = 0) -> object:
        starts.append(start)
        for number, found in enumerate(scan(tar, start)):
            if number == 70:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(tar_index, "scan", stumbling)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            ready_index(path, Silent())
    place = ready_index(path, Silent())
    with tarfile.open(path) as tar:
        offsets = [info.offset for info in tar]
    assert starts == [offsets[0], offsets[60], offsets[120], offsets[180]]
    assert TarIndex(path, place).count() == 200
    assert not list(tmp_path.glob("*.partial"))


def test_a_changed_tar_is_indexed_anew(tmp_path: Path) -> None:
    path = many(tmp_path / "t.tar", 5)
    place = ready_index(path, Silent())
    before = place.stat().st_mtime_ns
    assert ready_index(path, Silent()) == place
    assert place.stat().st_mtime_ns == before
    many(path, 9)
    assert index_of(path).count() == 9
    place.write_bytes(b"not sqlite at all" * 100)
    assert index_of(path).count() == 9


def test_a_folder_that_cannot_be_written_puts_the_index_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "t.tar", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tar_index._make

    def only_in_cache(tar: Path, place: Path, progress: Progress) -> None:
        if place.parent == tmp_path:
            place.with_name(f"{place.name}.partial").touch()  # what SQLite leaves when its journal cannot be opened
            raise OSError(30, "Read-only file system")
        made(tar, place, progress)

    monkeypatch.setattr(tar_index, "_make", only_in_cache)
    place = ready_index(path, Silent())
    assert place.parent == tmp_path / "cache" / "sysu30k-bench"
    assert TarIndex(path, place).count() == 5
    assert not list(tmp_path.glob(".*.partial"))
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(
        tar_index, "_make", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk I/O error"))
    )
    with pytest.raises(DataError, match="written nowhere"):
        ready_index(path, Silent())


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b" + bytes(2000), bytes(range(256)) * 40])
def test_what_is_no_tar(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"empty|not a tar"):
        index_of(tmp_path / "t.tar")
    assert first_names(tmp_path / "t.tar", 5) == []
    assert [path.name for path in tmp_path.iterdir()] == ["t.tar"]  # and nothing is left beside it


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bytes_never_raise_anything_else(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = many(tmp_path / "t.tar", 12)
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        headers = [info.offset for info in tar]
    for _ in range(6):
        content[int(rng.choice(headers)) + int(rng.integers(512))] = int(rng.integers(256))
    path.write_bytes(bytes(content))
    try:
        index = index_of(path)
    except DataError:
        return
    for name in index.below(""):
        member = index.find(name)
        assert member is not None
        assert len(index.read(name, member)) == member.size


def test_a_tar_that_shrinks_under_its_index_is_a_damaged_image(tmp_path: Path) -> None:
    path = many(tmp_path / "t.tar", 5)
    index = index_of(path)
    last = max(index.below(""), key=lambda name: index.find(name) or (0, 0))
    os.truncate(path, 1024)
    with pytest.raises(DamagedImageError, match="cut off"):
        index.read(last, index.find(last) or pytest.fail("lost"))


def test_an_index_survives_pickling_and_forks(tmp_path: Path) -> None:
    index = index_of(many(tmp_path / "t.tar", 5))
    names = list(index.below(""))
    copy = pickle.loads(pickle.dumps(index))  # noqa: S301  our own bytes
    assert list(copy.below("")) == names
    index.expect([index.find(name) or pytest.fail("lost") for name in names])
    child = os.fork()
    if child == 0:
        os._exit(0 if list(index.below("")) == names else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_scanning_from_any_header_gives_the_rest(tmp_path: Path) -> None:
    path = many(tmp_path / "t.tar", 30)
    whole = list(scan(path))
    for number, found in enumerate(whole[:-1]):
        assert list(scan(path, found.next)) == whole[number + 1 :]
    assert tar_scan.first_names(path, 3) == [found.key for found in whole[:3]]
