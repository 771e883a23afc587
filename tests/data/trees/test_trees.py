"""Folder, tar, several tars and zip give the same keys, in the same order, and the same bytes."""

from __future__ import annotations

import os
import pickle
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz.seeds.trees import zip_of as zip_bytes
from benchmarks.fuzz.seeds.trees import zips
from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees.folder import FolderTree
from sysu30k_bench.data.trees.open_tree import check_root, open_archives, open_folder
from sysu30k_bench.data.trees.tree import Subtree, Tree, walk_order
from sysu30k_bench.errors import DataError
from tests.data.trees.archives import tar_of, tar_with, zip_of

FILES = ("q/1/b.jpg", "q/1/a.JPG", "q/z.png", "q/10/c.jpg", "q/2/d.webp", "q/2-x/e.jpg", "q/2/deep/f.jpg",
         "q/notes.txt", "top.jpg", "q/.hidden.jpg", "q/Ärger mit Leerzeichen.jpg", "other/g.jpg")  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    for number, name in enumerate(FILES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes([number + 1]) * (number + 1))
    return root


def tar_tree(folder: Path) -> Tree:
    return open_archives(tar_of(folder, folder.parent / "whole.tar"))


def dotted_tar_tree(folder: Path) -> Tree:
    return open_archives(tar_of(folder, folder.parent / "dots.tar", "./"))


def two_tar_tree(folder: Path) -> Tree:
    place = folder.parent / "parts"
    place.mkdir()
    for number in range(2):
        files = [(name, (folder / name).read_bytes()) for name in FILES[number::2]]
        tar_with(place / f"part_{number}.tar", *files)
    return open_archives(place)


def zip_tree(folder: Path) -> Tree:
    return open_archives(zip_of(folder, folder.parent / "whole.zip"))


def windows_zip_tree(folder: Path) -> Tree:
    path = folder.parent / "windows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("/", "\\")
            archive.writestr(info, (folder / name).read_bytes())
    return open_archives(path)


MAKERS = [tar_tree, dotted_tar_tree, two_tar_tree, zip_tree, windows_zip_tree]


@pytest.mark.parametrize("make", MAKERS)
def test_every_tree_is_the_folder(folder: Path, make: Callable[[Path], Tree]) -> None:
    tree, plain = make(folder), open_folder(folder)
    for below in ("", "q", "q/2", "nothing"):
        if below != "nothing":
            assert tree.images(below) == plain.images(below)
        assert tree.has_folder(below) == plain.has_folder(below)
    assert tree.entries() == plain.entries() == ["other/", "q/", "top.jpg"]
    for name in (*FILES, "q/1", "missing.jpg", "../folder/top.jpg"):
        if not (folder / name).is_dir() and ".." not in name:
            assert tree.size(name) == plain.size(name)
    for name in FILES:
        assert tree.read(name) == plain.read(name)
    with pytest.raises(DamagedImageError):
        tree.read("missing.jpg")
    assert tree.size("../folder/top.jpg") == -1
    tree.expect(list(FILES))
    copy = pickle.loads(pickle.dumps(tree))  # noqa: S301  our own bytes
    assert copy.read("q/1/b.jpg") == tree.read("q/1/b.jpg")


@pytest.mark.parametrize("make", [open_folder, *MAKERS])
def test_a_folder_of_a_tree_is_a_tree(folder: Path, make: Callable[[Path], Tree]) -> None:
    tree = make(folder)
    inner = Subtree(tree, "q")
    assert inner.images("2") == ["d.webp", "deep/f.jpg"]
    assert inner.images("") == tree.images("q")
    assert inner.read("1/b.jpg") == tree.read("q/1/b.jpg")
    assert inner.size("../top.jpg") == tree.size("top.jpg") > 0
    assert inner.has_folder("2/deep")
    assert not inner.has_folder("3")
    assert inner.path == tree.path / "q"
    inner.expect(["1/b.jpg"])
    assert Subtree(tree, "").path == tree.path


@pytest.mark.parametrize("seed", range(20))
def test_walk_order_is_that_of_os_walk(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    letters = ["a", "b", "-", "0", "a0", "B", "ä"]
    keys = {"/".join(rng.choice(letters, rng.integers(1, 4))) + ".jpg" for _ in range(30)}
    for key in keys:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()
    expected = []
    for place, folders, files in os.walk(tmp_path):
        folders.sort()
        expected += [(Path(place) / name).relative_to(tmp_path).as_posix() for name in sorted(files)]
    assert walk_order(keys) == expected == FolderTree(tmp_path).images("")


def test_one_image_in_two_tars_is_refused(tmp_path: Path) -> None:
    for name in ("a", "a (1)"):
        tar_with(tmp_path / f"{name}.tar", ("g/x.jpg", b"1"), ("g/y.jpg", b"2"))
    with pytest.raises(DataError, match="2 images lie in more than one archive") as caught:
        open_archives(tmp_path).images("g")
    assert caught.value.details == ["a (1).tar: 2 files", "a.tar: 2 files"]


def test_links_that_leave_the_folder_are_followed_and_noted(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "h.jpg").write_bytes(b"x")
    (folder / "q" / "away").symlink_to(outside)
    (folder / "q" / "within.jpg").symlink_to(folder / "q" / "z.png")
    tree = open_folder(folder)
    assert {"away/h.jpg", "within.jpg"} <= set(tree.images("q"))
    assert len(tree.notes) == 1
    assert "1 link " in tree.notes[0]
    assert str(outside) in tree.notes[0]


def test_names_that_cannot_be_printed_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="not printable"):
        open_folder(tmp_path).images("")


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.tar.xz"])
def test_compressed_tars_say_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match="compressed"):
        open_archives(tmp_path / name)


def test_zips_that_are_none(tmp_path: Path, folder: Path) -> None:
    whole = zip_of(folder, tmp_path / "w.zip").read_bytes()
    for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2]):
        (tmp_path / "t.zip").write_bytes(content)
        with pytest.raises(DataError, match="not a zip"):
            open_archives(tmp_path / "t.zip")


def test_a_damaged_member_of_a_zip_is_a_damaged_image(tmp_path: Path) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"0123456789" * 10)
        archive.writestr("../b.jpg", b"x")
        archive.writestr("/c.jpg", b"x")
    content = bytearray(path.read_bytes())
    content[content.index(b"0123456789") + 4] ^= 0xFF
    path.write_bytes(bytes(content))
    tree = open_archives(path)
    with pytest.raises(DamagedImageError, match="CRC"):
        tree.read("a.jpg")
    assert tree.images("") == ["a.jpg"]
    assert "2 members are refused" in tree.faults[0]


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_cannot_be_bounded_are_refused(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", kind) as archive:
        archive.writestr("a.jpg", b"x" * 1000)
    tree = open_archives(tmp_path / "z.zip")
    assert tree.images("") == []
    assert "piece by piece" in tree.faults[0]


def test_a_zip_bomb_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(300 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DamagedImageError, match="has 314,572,800 bytes"):
        open_archives(path).read("a.jpg")


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder or archive"):
        check_root(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no folder or archive"):
        check_root(Path("x" * 5000))


def test_a_member_of_a_zip_is_inflated_as_far_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zips()["says-less"])  # 64 MiB of zeros, called a thousand bytes
    tree = open_archives(path)
    assert tree.size("a.jpg") == 1000
    tracemalloc.start()
    try:
        assert tree.read("a.jpg") == bytes(1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("x")
    (tmp_path / "y.jpg").symlink_to("y.jpg")
    tree = open_folder(tmp_path)
    assert tree.images("") == ["y.jpg"]
    with pytest.raises(DamagedImageError, match="symbolic links"):
        tree.read("y.jpg")


def test_a_member_without_a_name_or_an_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes((b"", b"abcd", 4, 0, 0), (b"a.jpg", b"abcd", 9, zlib.crc32(b"abcd"), 0)))
    tree = open_archives(path)
    assert "1 member is refused (first: '': no name)" in tree.faults[0]
    with pytest.raises(DamagedImageError):
        tree.read("a.jpg")
