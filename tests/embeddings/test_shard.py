from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sysu30k_bench.embeddings.shard import Shard, encode_shard, read_labels, read_shard
from sysu30k_bench.errors import IntegrityError
from tests.conftest import unit_rows

SHARD = Shard(
    first=14,
    span=6,
    embedding=unit_rows(np.random.default_rng(0), 5, 8),
    key=["gallery/a.jpg", "gallery/é ü.jpg", "gallery/c.jpg", "d", "gallery/eeeeeeee.jpg"],
    person_id=np.array([1, -1000, 3, 2**40, 0]),
    camera_id=np.array([1, 2, 12, 1, 1]),
    damaged={"gallery/x.jpg": "truncated"},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "shard-00002.h5"
    file.write_bytes(encode_shard(SHARD, "identity"))
    return file


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_round_trip(tmp_path: Path, dtype: str) -> None:
    shard = Shard(
        **{
            **{name: getattr(SHARD, name) for name in SHARD.__dataclass_fields__},
            "embedding": SHARD.embedding.astype(dtype),
        }
    )
    (tmp_path / "s.h5").write_bytes(encode_shard(shard, "identity"))
    back = read_shard(tmp_path / "s.h5", identity="identity")
    assert back.embedding.dtype == dtype
    assert np.array_equal(back.embedding, shard.embedding)
    assert (back.key, back.damaged, back.first, back.span) == (shard.key, shard.damaged, 14, 6)
    assert np.array_equal(back.person_id, shard.person_id)
    labels = read_labels(tmp_path / "s.h5", 5, 1)
    assert labels.key == shard.key


def test_equal_rows_give_equal_bytes() -> None:
    assert encode_shard(SHARD, "identity") == encode_shard(SHARD, "identity")


def test_anyone_can_read_it_with_h5py_alone(path: Path) -> None:
    with h5py.File(path) as file:
        assert set(file) == {"embedding", "key", "person_id", "camera_id", "damaged"}
        assert file["key"].asstr()[1] == "gallery/é ü.jpg"
        assert file["embedding"].chunks is None


def test_an_empty_shard_is_possible(tmp_path: Path) -> None:
    none = Shard(
        0, 2, np.empty((0, 4), np.float32), [], np.empty(0, np.int64), np.empty(0, np.int64), {"a": "x", "b": "y"}
    )
    (tmp_path / "s.h5").write_bytes(encode_shard(none, "i"))
    assert read_shard(tmp_path / "s.h5").damaged == {"a": "x", "b": "y"}


def test_every_flipped_byte_is_noticed_or_harmless(path: Path) -> None:
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    caught = 0
    for position in rng.choice(len(whole), 250, replace=False):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            assert read_shard(path, identity="identity").content_digest == SHARD.content_digest
        except IntegrityError:
            caught += 1
    assert caught > 50


def test_every_number_is_guarded(path: Path) -> None:
    whole = path.read_bytes()
    start = whole.index(SHARD.embedding.tobytes())
    for position in range(start, start + SHARD.embedding.nbytes, 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(IntegrityError, match="does not fit its digest"):
            read_shard(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(IntegrityError) as caught:
        read_shard(path)
    assert str(path) in str(caught.value)


def test_shard_of_another_store(path: Path) -> None:
    with pytest.raises(IntegrityError, match="another store"):
        read_shard(path, identity="other")


def hostile(path: Path, how: str) -> None:  # noqa: C901  one case a line
    with h5py.File(path, "a") as file:
        data = file["embedding"][:]
        if how == "version":
            file.attrs["format_version"] = 99
            return
        if how == "heap string":
            digest = file.attrs["content_sha256"].decode()
            del file.attrs["content_sha256"]
            file.attrs["content_sha256"] = digest
            return
        if how == "columns":
            del file["camera_id"]
            file["camera_id"] = np.arange(3)
            return
        if how == "damaged":
            del file["damaged"]
            file["damaged"] = np.frombuffer(b"[1]", np.uint8)
            return
        del file["embedding"]
        if how == "external link":
            file["embedding"] = h5py.ExternalLink("/etc/passwd", "/embedding")
        elif how == "soft link":
            file["other"] = data
            file["embedding"] = h5py.SoftLink("/other")
        elif how == "virtual":
            layout = h5py.VirtualLayout(data.shape, "f4")
            layout[:] = h5py.VirtualSource("/etc/hostname", "embedding", data.shape)
            file.create_virtual_dataset("embedding", layout)
        elif how == "external storage":
            file.create_dataset("embedding", data.shape, "f4", external=[("/etc/passwd", 0, data.nbytes)])
        elif how == "compressed":
            file.create_dataset("embedding", data=data, compression="gzip")
        elif how == "memory bomb":
            file.create_dataset("embedding", (1 << 40, 8), "f4")
        elif how == "type":
            file.create_dataset("embedding", data=data.astype("f8"))
        elif how == "group":
            file.create_group("embedding")


@pytest.mark.parametrize(
    "how",
    [
        "version",
        "heap string",
        "columns",
        "damaged",
        "external link",
        "soft link",
        "virtual",
        "external storage",
        "compressed",
        "memory bomb",
        "type",
        "group",
        "missing",
    ],
)
def test_hostile_files_are_refused(path: Path, how: str) -> None:
    hostile(path, how)
    with pytest.raises(IntegrityError):
        read_shard(path)


def test_a_listed_shard_is_checked_by_the_fast_checksum(path: Path) -> None:
    listed = SHARD.content_digest
    assert np.array_equal(read_shard(path, content=listed).embedding, SHARD.embedding)
    with pytest.raises(IntegrityError, match="not the shard that the manifest lists"):
        read_shard(path, content="0" * 64)
    content = bytearray(path.read_bytes())
    at = content.find(SHARD.embedding.tobytes())
    for bit in (0, 7):
        damaged = bytearray(content)
        damaged[at + 3] ^= 1 << bit
        path.write_bytes(bytes(damaged))
        with pytest.raises(IntegrityError, match="changed or damaged"):
            read_shard(path, content=listed)


def test_the_right_numbers_in_another_file_are_refused(path: Path, tmp_path: Path) -> None:
    """The content fits every digest; whoever opens the file would still be led out of it."""
    (tmp_path / "outside.bin").write_bytes(SHARD.embedding.tobytes())
    with h5py.File(path, "a") as file:
        del file["embedding"]
        file.create_dataset(
            "embedding", SHARD.embedding.shape, "f4", external=[(str(tmp_path / "outside.bin"), 0, h5py.h5f.UNLIMITED)]
        )
        assert np.array_equal(file["embedding"][:], SHARD.embedding)
        assert path.stat().st_size > SHARD.embedding.nbytes
    with pytest.raises(IntegrityError, match="`embedding` is not stored plainly in this file"):
        read_shard(path)


@pytest.mark.parametrize("rows", [0, 5])
def test_virtual_data_sets_are_refused_even_where_there_is_nothing_to_read(tmp_path: Path, rows: int) -> None:
    none = np.empty(0, np.int64)
    empty = Shard(0, 2, np.empty((0, 8), np.float32), [], none, none, {"a": "x", "b": "y"})
    path = tmp_path / "s.h5"
    path.write_bytes(encode_shard(SHARD if rows else empty, "i"))
    with h5py.File(path, "a") as file:
        file["plain"] = file["embedding"][:]
        del file["embedding"]
        layout = h5py.VirtualLayout((rows, 8), "f4")
        if rows:
            layout[:] = h5py.VirtualSource(".", "plain", (rows, 8))
        file.create_virtual_dataset("embedding", layout)
        if not file["embedding"].is_virtual:
            pytest.skip("this HDF5 stores an empty virtual data set plainly")
    with pytest.raises(IntegrityError, match="`embedding` is not stored plainly in this file"):
        read_shard(path)


@pytest.mark.parametrize(
    "change",
    [
        {"first": 15},
        {"span": 7},
        {"key": ["gallery/a.jpg", "gallery/é ü.jpg", "gallery/c.jpg", "d", "gallery/eeeeeeef.jpg"]},
        {"person_id": np.array([1, -1000, 3, 2**40, 1])},
        {"camera_id": np.array([1, 2, 12, 1, 2])},
        {"damaged": {"gallery/x.jpg": "Truncated"}},
        {"damaged": {"gallery/y.jpg": "truncated"}},
        {"damaged": {}},
        {"images": "0" * 64},
    ],
)
def test_both_digests_are_over_everything_in_a_shard(path: Path, change: dict[str, Any]) -> None:
    other = replace(SHARD, **change)
    assert other.content_digest != SHARD.content_digest
    assert other.checksum != SHARD.checksum
    path.write_bytes(encode_shard(other, "identity"))
    with h5py.File(path, "a") as file:  # the content of one with the digests of the other
        file.attrs["content_sha256"] = np.bytes_(SHARD.content_digest)
        file.attrs["checksum"] = np.bytes_(SHARD.checksum)
    for content in (None, SHARD.content_digest):
        with pytest.raises(IntegrityError, match="does not fit its digest"):
            read_shard(path, content=content)


@pytest.mark.parametrize("room", [4, 5, 9])
def test_memory_is_used_again_where_it_fits(path: Path, room: int) -> None:
    into = np.full((room, 8), 7, np.float32)
    shard = read_shard(path, into=into)
    assert np.array_equal(shard.embedding, SHARD.embedding)
    assert np.shares_memory(shard.embedding, into) == (room >= 5)
    assert not np.shares_memory(read_shard(path, into=into.astype(np.float16)).embedding, into)
