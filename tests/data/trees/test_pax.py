"""Headers of members that a foreign program's tar left among the members: passed over, and counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.trees.open_tree import open_archives, open_folder
from sysu30k_bench.data.trees.tree import Tree
from tests.conftest import Outcome, jpeg
from tests.data.trees.archives import tar_of, tar_with, zip_of

HEADER = b"30 mtime=1690000000.123456789\n"


def mixed(root: Path, folder: str = "PaxHeader") -> Path:
    for number in range(3):
        name = f"0000{number}_c1_1.jpg"
        (root / "g" / folder).mkdir(parents=True, exist_ok=True)
        (root / "g" / name).write_bytes(jpeg(number))
        (root / "g" / folder / name).write_bytes(HEADER)
    return root


def as_tar(root: Path) -> Tree:
    return open_archives(tar_of(root, root.parent / "t.tar"))


def as_zip(root: Path) -> Tree:
    return open_archives(zip_of(root, root.parent / "t.zip"))


@pytest.mark.parametrize("folder", ["PaxHeader", "PaxHeaders", "PaxHeaders.1234", "@PaxHeader"])
@pytest.mark.parametrize("make", [as_tar, as_zip, open_folder])
def test_they_are_passed_over_and_counted(tmp_path: Path, make: Callable[[Path], Tree], folder: str) -> None:
    tree = make(mixed(tmp_path / "r", folder))
    assert tree.images("") == [f"g/0000{number}_c1_1.jpg" for number in range(3)]
    assert len(tree.notes) == 1
    assert "3 PaxHeader entries" in tree.notes[0]
    assert not tree.faults


@pytest.mark.parametrize("make", [as_tar, as_zip, open_folder])
def test_an_image_in_a_folder_of_that_name_is_an_image(tmp_path: Path, make: Callable[[Path], Tree]) -> None:
    root = mixed(tmp_path / "r")
    (root / "g/PaxHeader/00009_c1_1.jpg").write_bytes(jpeg(9))
    (root / "g/PaxHeaders").mkdir()
    (root / "g/PaxHeaders/empty.jpg").write_bytes(b"")
    tree = make(root)
    assert {"g/PaxHeader/00009_c1_1.jpg", "g/PaxHeaders/empty.jpg"} <= set(tree.images(""))
    assert len(tree.images("")) == 5


def test_the_headers_of_python_s_own_pax_tars_are_read(tmp_path: Path) -> None:
    name = "g/" + "é" * 120 + "_c1_1.jpg"
    tree = open_archives(tar_with(tmp_path / "t.tar", (name, jpeg())))
    assert tree.images("") == [name]
    assert tree.notes == []


def test_a_test_set_with_them_says_so(bench: Callable[..., Outcome], own_twin: Path, tmp_path: Path) -> None:
    plain = open_test_set(own_twin)
    copy = tmp_path / "copy" / "sysu_test_set_all"
    shutil.copytree(own_twin / "sysu_test_set_all", copy)
    images = sorted(copy.rglob("*.jpg"))
    for image in images:
        (image.parent / "PaxHeader").mkdir(exist_ok=True)
        (image.parent / "PaxHeader" / image.name).write_bytes(HEADER)
    tar = tar_of(copy.parent, tmp_path / "foreign.tar")
    found = bench("data", "lists", tar, "--json")
    assert found.code == 0, found.err
    assert found.json["query"] + found.json["gallery"] == len(images)
    assert found.json["gallery_fingerprint"] == plain.gallery.fingerprint
    said = f"{len(images)} PaxHeader entries"
    assert any(said in note for note in found.json["notes"])
    assert said in bench("data", "index", tar).out
    verified = bench("data", "verify", tar)
    assert verified.code == 0, verified.out
    assert said in verified.out
    assert any(said in report for report in bench("data", "index", tar, "--json").json[0]["notes"])
