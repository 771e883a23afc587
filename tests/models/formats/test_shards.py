"""safetensors, and checkpoints in several files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.models.formats.read import files_of, read, read_content
from tests.models.formats.making import WEIGHTS, same

NAMES = {"safetensors": ("model", "safetensors"), "torch": ("pytorch_model", "bin")}
PARTS = [{"a.weight": torch.arange(4.0)}, {"b.weight": torch.ones(2, 2, dtype=torch.bfloat16), "b.bias": torch.ones(2)}]


def write(folder: Path, kind: str) -> Path:
    stem, ending = NAMES[kind]
    places: dict[str, str] = {}
    for number, part in enumerate(PARTS, 1):
        path = folder / f"{stem}-{number:05}-of-00002.{ending}"
        save_file(part, path) if kind == "safetensors" else torch.save(part, path)
        places |= dict.fromkeys(part, path.name)
    index = folder / f"{stem}.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 40}, "weight_map": places}))
    return index


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("by", ["index", "folder"])
def test_shards(tmp_path: Path, kind: str, by: str) -> None:
    index = write(tmp_path, kind)
    path = index if by == "index" else tmp_path
    found, expected = read_content(path), PARTS[0] | PARTS[1]
    assert set(found) == set(expected)
    assert all(same(found[name], expected[name]) for name in expected)
    assert read(path).format == "shards"
    assert [file.name for file in files_of(path)] == [
        index.name,
        *sorted(set(json.loads(index.read_text())["weight_map"].values())),
    ]


def test_a_folder_with_both_kinds(tmp_path: Path) -> None:
    write(tmp_path, "torch")
    index = write(tmp_path, "safetensors")
    assert files_of(tmp_path)[0] == index


@pytest.mark.parametrize("kind", NAMES)
def test_one_shard_alone_is_a_part(tmp_path: Path, kind: str) -> None:
    index = write(tmp_path, kind)
    with pytest.raises(UsageError, match="is part 1 of 2") as caught:
        read_content(files_of(index)[1])
    assert "index" in str(caught.value.hint)
    single = tmp_path / "model-00001-of-00001.safetensors"
    save_file(WEIGHTS, single)
    assert set(read_content(single)) == set(WEIGHTS)


def test_shards_that_do_not_fit(tmp_path: Path) -> None:
    index = write(tmp_path, "safetensors")
    first, second = files_of(index)[1:]
    save_file(PARTS[1] | PARTS[0], second)
    with pytest.raises(IntegrityError, match="another shard again"):
        read_content(index)
    save_file({"c": torch.ones(1)}, second)
    with pytest.raises(IntegrityError, match="lacks tensors") as caught:
        read_content(index)
    assert caught.value.details == ["b.bias", "b.weight"]
    first.write_bytes(first.read_bytes()[:-4])
    with pytest.raises(IntegrityError, match=rf"{first.name} is cut off"):
        read_content(index)
    second.unlink()
    with pytest.raises(DataError, match="1 of the 2 files") as missing:
        read_content(index)
    assert missing.value.details == [second.name]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON"),
        ("[]", "weight_map"),
        ('{"weight_map": {}}', "weight_map"),
        ('{"weight_map": {"a": 3}}', "weight_map"),
        ("[" * 100_000, "no JSON"),
        ('{"weight_map": {"a": "../../etc/passwd"}}', "outside"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "outside"),
        ('{"weight_map": {"a": "b\\u0000"}}', "outside"),
    ],
)
def test_indices_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(IntegrityError, match=said):
        read_content(tmp_path / "model.safetensors.index.json")


def test_an_index_that_names_itself(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": index.name}}))
    with pytest.raises(IntegrityError, match="JSON"):
        read_content(index)


def test_safetensors_of_every_dtype(tmp_path: Path) -> None:
    content = {
        str(dtype): torch.arange(8, dtype=torch.uint8).view(dtype).clone()
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.uint8, torch.float8_e4m3fn)
    } | {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.0)}
    save_file(content, tmp_path / "w")
    assert set(content) == set(read_content(tmp_path / "w"))
    for name, value in read_content(tmp_path / "w").items():
        assert same(value, content[name])


@pytest.mark.parametrize(
    "header",
    [
        b"{}" + b"x" * 10,
        b'{"a": 3}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 9999999999999]}}',
        b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": "x"}}',
        b"{" * 50_000,
    ],
)
def test_safetensors_headers_that_lie(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(IntegrityError):
        read_content(tmp_path / "w.safetensors")
