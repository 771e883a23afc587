"""Byte order marks are no part of a list's first line, in any of the lists that are read."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.trees.text import text_of
from sysu30k_bench.data.weak.bag_file import read_bag_file
from sysu30k_bench.data.weak.training_list import read_train_txt
from sysu30k_bench.errors import IntegrityError
from tests.data.test_benchmarks import msmt17
from tests.data.trees.archives import zip_of
from tests.data.weak.sets import write_training_set

MARKED = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def marked(path: Path, encoding: str) -> None:
    path.write_bytes(MARKED[encoding] + path.read_text("utf-8").encode(encoding))


@pytest.mark.parametrize("encoding", MARKED)
def test_a_mark_says_the_encoding_and_goes(encoding: str) -> None:
    assert text_of(MARKED[encoding] + "é 1\n".encode(encoding)) == "é 1\n"
    assert text_of("é 1\n".encode()) == "é 1\n"
    assert text_of(b"\xff 1") == "\ufffd 1"


@pytest.mark.parametrize("encoding", MARKED)
def test_lists_of_msmt17_with_a_mark_are_the_lists_without(tmp_path: Path, encoding: str) -> None:
    plain = open_test_set(msmt17(tmp_path / "plain", "train", "test"))
    root = msmt17(tmp_path / "marked", "train", "test")
    for text in root.glob("list_*.txt"):
        marked(text, encoding)
    for place in (root, zip_of(root, tmp_path / "m.zip")):
        found = open_test_set(place)
        assert found.query.fingerprint == plain.query.fingerprint
        assert found.gallery.fingerprint == plain.gallery.fingerprint


def test_published_lists_with_a_mark_are_compared(own_twin: Path) -> None:
    before = open_test_set(own_twin).not_official
    for text in (own_twin / "meta").glob("*.txt"):
        marked(text, "utf-8")
    assert open_test_set(own_twin).not_official == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_lists_of_the_training_set(tmp_path: Path, encoding: str) -> None:
    meta = write_training_set(tmp_path) / "meta"
    plain = read_train_txt(meta / "train.txt"), read_bag_file(meta / "bag_level_label.json")
    for name in ("train.txt", "bag_level_label.json"):
        marked(meta / name, encoding)
    listed, bags = read_train_txt(meta / "train.txt"), read_bag_file(meta / "bag_level_label.json")
    assert listed.keys(range(len(listed))) == plain[0].keys(range(len(plain[0])))
    assert bags.label.tolist() == plain[1].label.tolist()


@pytest.mark.parametrize("content", [b"\xff\xfe0\x000", b"0000000001/1.jpg\n\xff\xfe\n"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list").write_bytes(content)
    for read in (read_train_txt, read_bag_file):
        with pytest.raises(IntegrityError, match="is not a list of"):
            read(tmp_path / "list")
