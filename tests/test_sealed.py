from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.sealed import (
    SealedDocument,
    document_digest,
    document_fault,
    is_sealed,
    require_told,
    seal_file,
    seal_zip,
)


class Document(SealedDocument):
    name: str
    value: float
    inner: dict[str, list[int]] = {}  # noqa: RUF012  pydantic copies it


DOCUMENT = Document(name="é", value=0.1 + 0.2, inner={"b": [1], "a": [2, 3]})


def test_a_document_fits_its_own_digest_however_it_is_laid_out(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    DOCUMENT.write_to(path)
    raw = path.read_bytes()
    assert document_fault(raw, required=True) is None
    values = json.loads(raw)
    assert values["sha256"] == document_digest(values)
    again = Document.model_validate_json(raw)
    assert again.model_copy(update={"sha256": None}) == DOCUMENT
    assert again.sealed() == again
    laid_out = json.dumps(dict(reversed(values.items())), indent=7, ensure_ascii=False).encode()
    assert document_fault(laid_out, required=True) is None


@pytest.mark.parametrize(
    ("old", "new"), [('"\u00e9"', '"e"'), ("0.30000000000000004", "0.30000000000000010"), ("2", "7"), ('"a"', '"A"')]
)
def test_a_changed_value_is_noticed(tmp_path: Path, old: str, new: str) -> None:
    DOCUMENT.write_to(tmp_path / "d.json")
    text = (tmp_path / "d.json").read_text("utf-8")
    at = text.index('"name"')
    changed = text[:at] + text[at:].replace(old, new, 1)
    assert changed != text
    assert "does not fit its digest" in str(document_fault(changed.encode()))


def test_a_document_without_a_digest_is_of_an_earlier_version() -> None:
    raw = json.dumps({"name": "x", "value": 1.0}).encode()
    assert document_fault(raw) is None
    assert "carries no digest" in str(document_fault(raw, required=True))
    for strange in (b"", b"[1]", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 10_000 + b"}"):
        assert document_fault(strange) is None
        assert "no JSON document" in str(document_fault(strange, required=True))


def zipped(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, values=values)
    return bytes(seal_zip(content))


def test_sealed_archives_are_read_by_everybody(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(zipped(np.arange(9)))
    assert is_sealed(path)
    with np.load(path) as read:
        assert read["values"].tolist() == list(range(9))
    content = io.BytesIO()
    torch.save({"a": torch.arange(3)}, content)
    (tmp_path / "a.pt").write_bytes(seal_zip(content))
    assert is_sealed(tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["a"].tolist() == [0, 1, 2]
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sysu30k-sha256:")


def test_a_sealed_hdf5_file_is_read_by_h5py(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["values"] = np.arange(5)
    assert not is_sealed(path)
    seal_file(path)
    assert is_sealed(path)
    with h5py.File(path) as file:
        assert file["values"][:].tolist() == [0, 1, 2, 3, 4]


def test_any_other_byte_and_any_cut_breaks_the_seal(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    whole = zipped(np.arange(3))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert not is_sealed(path), place
        path.write_bytes(whole[:place])
        assert not is_sealed(path), place
    path.write_bytes(whole + b"\0")
    assert not is_sealed(path)
    assert not is_sealed(tmp_path)
    assert not is_sealed(tmp_path / "none")


@pytest.mark.parametrize("name", ["search.json", "result.json"])
def test_a_file_must_be_the_one_that_the_folder_tells_of(tmp_path: Path, name: str) -> None:
    path, document = tmp_path / "ranking.csv", tmp_path / name
    path.write_text("first")
    require_told(path)
    told = {"ranking_sha256": sha256_of_file(path)}
    document.write_text(json.dumps(told))
    require_told(path)
    document.write_text(json.dumps({**told, "sha256": document_digest(told)}))
    require_told(path)
    path.write_text("other")
    with pytest.raises(IntegrityError, match=rf"ranking\.csv is not the file that {name} records"):
        require_told(path)
    path.write_text("first")
    for damaged in ("", "[]", json.dumps({**told, "sha256": "0" * 64})):
        document.write_text(damaged)
        with pytest.raises(IntegrityError, match=name):
            require_told(path)
    document.write_text(json.dumps({"other": 1}))
    require_told(path)
