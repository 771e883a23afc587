"""The table beside `X.npy`, as programs and spreadsheets write it."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.embeddings.features.reader import Features, read_features
from sysu30k_bench.errors import IntegrityError

KEYS = ["query/a;b.jpg", 'gallery/"b".jpg', "gallery/é, f.jpg"]
COMMAS = 'key,n\nquery/a;b.jpg,1\n"gallery/""b"".jpg",2\n"gallery/é, f.jpg",3\n'
SEMICOLONS = 'n;key\n1;"query/a;b.jpg"\n2;"gallery/""b"".jpg"\n3;gallery/é, f.jpg\n'


def keys(folder: Path, content: str | bytes) -> list[str]:
    np.save(folder / "f.npy", np.ones((3, 4), np.float32))
    (folder / "f.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_features(folder / "f.npy")
    assert isinstance(found, Features)
    return found.key


@pytest.mark.parametrize(
    "text",
    [
        COMMAS,
        SEMICOLONS,
        SEMICOLONS.replace("\n", "\r\n"),
        SEMICOLONS.replace("n;key", " n ; key "),
        "sep=;\r\n" + SEMICOLONS,
        'sep=|\nn|key\n1|query/a;b.jpg\n2|"gallery/""b"".jpg"\n3|gallery/é, f.jpg',
        'key\nquery/a;b.jpg\n"gallery/""b"".jpg"\n"gallery/é, f.jpg"\n\n',
        'n\tkey\n1\tquery/a;b.jpg\n2\t"gallery/""b"".jpg"\n3\tgallery/é, f.jpg\n',
    ],
)
def test_separators(tmp_path: Path, text: str) -> None:
    assert keys(tmp_path, text) == KEYS


@pytest.mark.parametrize("text", [COMMAS, SEMICOLONS])
def test_byte_order_marks(tmp_path: Path, text: str) -> None:
    assert keys(tmp_path, codecs.BOM_UTF8 + text.encode()) == KEYS
    assert keys(tmp_path, text.encode("utf-16")) == KEYS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id;name\n1;a\n2;b\n3;c\n", "no column 'key'; it has 'id', 'name'"),
        ("a.jpg\nb.jpg\nc.jpg\n", "no column 'key'; it has 'a.jpg'"),
        ("", "no column 'key'; it has none"),
        ("sep=;\n", "no column 'key'; it has none"),
        ("key;n\na;1\nb;2;3\nc;3\n", "1 rows of .* do not have the 2 fields"),
        ("key\na,1\nb,2\nc,3\n", "3 rows of .* do not have the 1 fields"),
        ("key\na\nb\n", "3 embeddings and 2 keys"),
    ],
)
def test_what_is_no_such_table(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        keys(tmp_path, text)


@pytest.mark.parametrize("content", ["key\né\n".encode("latin-1"), b'key\n"a\n', b"key\n\xff\n"])
def test_damaged_tables(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"f\.csv|f\.npy"):
        keys(tmp_path, content)


def test_the_line_of_a_bad_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        keys(tmp_path, "key;n\na;1\nb;2;3\nc;3\n")
    assert caught.value.details == ["line 3: 3 fields"]


@pytest.mark.parametrize("text", ['key\n"' + "x" * 99, "key\n" + "x" * 200_000 + "\n", "key" + "x" * 200_000 + "\n"])
def test_quotes_that_do_not_end_and_fields_that_hardly_do(tmp_path: Path, text: str) -> None:
    with pytest.raises(IntegrityError, match=r"f\.csv is no table"):
        keys(tmp_path, text)
