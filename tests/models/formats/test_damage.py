"""Files cut off or changed anywhere: an error for people, or the same numbers where a checksum stands for them."""

from __future__ import annotations

import pickle
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from sysu30k_bench.errors import BenchError, DataError, IntegrityError
from sysu30k_bench.models.formats.pickles.unfold import unfold
from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import WEIGHTS, same, torch_bytes

KINDS = ["zip", "legacy", "pickle", "pickle 0", "safetensors", "module"]


@cache
def whole(kind: str) -> bytes:
    if kind == "safetensors":
        return save(WEIGHTS)
    if kind.startswith("pickle"):
        content = {"w": np.arange(5.0), "t": WEIGHTS["conv.bias"], "n": [1, (2, "x")], "s": {3}}
        return pickle.dumps(content, protocol=0 if kind.endswith("0") else 4)
    if kind == "module":
        return torch_bytes(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    return torch_bytes({"state_dict": WEIGHTS, "epoch": 3, "best": np.float32(0.5)}, kind)


def read_bytes(content: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.pth"
        path.write_bytes(content)
        return unfold(read_content(path))


@pytest.mark.parametrize("kind", KINDS)
def test_whole(kind: str) -> None:
    assert read_bytes(whole(kind))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_cut_off_anywhere(kind: str, data: st.DataObject) -> None:
    content = whole(kind)[: data.draw(st.integers(0, len(whole(kind)) - 1))]
    with pytest.raises(IntegrityError) as caught:
        read_bytes(content)
    assert "w.pth" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_anywhere(kind: str, data: st.DataObject) -> None:
    content = bytearray(whole(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_bytes(bytes(content))
    except BenchError:
        return
    if kind == "zip":  # every entry that matters has a checksum
        assert same(found, read_bytes(whole(kind)))


@settings(max_examples=100, deadline=None)
@given(head=st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04", b"(", b"}"]), rest=st.binary(max_size=200))
def test_anything(head: bytes, rest: bytes) -> None:
    try:
        read_bytes(head + rest)
    except BenchError as error:
        assert "Traceback" not in str(error)  # noqa: PT017 - not being raised is as good


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_an_unfinished_download_is_called_cut_off(tmp_path: Path, kind: str, share: float) -> None:
    content = torch_bytes({"w": torch.ones(1000)}, kind) if kind != "safetensors" else save({"w": torch.ones(1000)})
    (tmp_path / "w.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(IntegrityError, match="is cut off"):
        read_content(tmp_path / "w.pth")


def test_a_changed_weight_in_a_zip_is_found(tmp_path: Path) -> None:
    content = bytearray(torch_bytes({"w": torch.full((1000,), 1.5)}))
    content[content.index(np.float32(1.5).tobytes() * 10) + 2] ^= 1
    (tmp_path / "w.pth").write_bytes(content)
    assert torch.load(tmp_path / "w.pth")["w"].max() > 1.5  # torch does not look
    with pytest.raises(IntegrityError, match="does not match its checksum"):
        read_content(tmp_path / "w.pth")


def test_the_file_itself(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_content(tmp_path / "w.pth")
    with pytest.raises(DataError, match="there is no file"):
        read_content(tmp_path / "w.pth" / "x")
    (tmp_path / "w.pth").touch()
    with pytest.raises(IntegrityError, match="is empty"):
        read_content(tmp_path / "w.pth")
