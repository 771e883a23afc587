"""Small files that claim to be large: refused by what they declare, before anything is unpacked."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from sysu30k_bench.embeddings.features.reader import Features, read_features
from sysu30k_bench.errors import IntegrityError

ZEROS = np.zeros((60_000, 128))
KEYS = np.array([f"gallery/{number}.jpg" for number in range(len(ZEROS))])
NOISE = np.random.default_rng(0).standard_normal((100, 128)).astype(np.float32)
ONES = np.ones(100)


def npz(path: Path, rows: np.ndarray = ZEROS, keys: np.ndarray = KEYS) -> None:
    np.savez_compressed(path, embedding=rows, key=keys)


def mat(path: Path) -> None:
    """As `zz.mat` of the trials: 2 MB that took 2.5 GB."""
    small = {"query_label": ONES, "query_cam": ONES, "gallery_f": NOISE, "gallery_label": ONES, "gallery_cam": ONES}
    savemat(path, {"query_f": ZEROS, **small}, do_compression=True)


def mat73(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for role in ("query", "gallery"):
            file.create_dataset(f"{role}_f", data=ZEROS.T, compression="gzip")
            file[f"{role}_label"] = file[f"{role}_cam"] = np.ones((1, len(ZEROS)), "u1")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


def large_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("embedding", data=NOISE, chunks=(60_000, 128), maxshape=(None, 128), compression="gzip")
        file["key"] = KEYS[:100].astype("S")


def parquet(path: Path) -> None:
    pd.DataFrame({"key": KEYS, "embedding": list(ZEROS)}).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("f.npz", npz), ("f.mat", mat), ("g.mat", mat73), ("f.h5", large_chunk), ("f.parquet", parquet)],
)
def test_what_would_grow_a_thousandfold_is_refused_unread(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    path = tmp_path / name
    write(path)
    size = path.stat().st_size
    assert ZEROS.nbytes > 30 * size
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError, match=f"refused unread: .* claims [0-9,]+ bytes, and the file has {size:,}"):
            read_features(path)
        assert tracemalloc.get_traced_memory()[1] < ZEROS.nbytes / 4
    finally:
        tracemalloc.stop()


def test_more_rows_than_the_file_has_room_for(tmp_path: Path) -> None:
    """A text in Python takes fifty bytes, whatever it takes in the file."""
    rows = np.random.default_rng(0).standard_normal((100_000, 1)).astype(np.float16)
    npz(tmp_path / "f.npz", rows, np.zeros(len(rows), "S1"))
    with pytest.raises(IntegrityError, match="claims 100,000 rows"):
        read_features(tmp_path / "f.npz")


def test_features_with_many_zeros_are_no_bomb(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random((400, 256)) < 0.02, rng.random((400, 256)), 0).astype(np.float32)
    npz(tmp_path / "f.npz", sparse, KEYS[:400])
    assert sparse.nbytes > 15 * (tmp_path / "f.npz").stat().st_size
    assert np.array_equal(np.asarray(read_features(tmp_path / "f.npz").embedding), sparse)


@pytest.mark.parametrize("more", [b"", b"\0" * 5_000_000])
def test_a_mat_file_that_holds_more_or_less_than_it_says(tmp_path: Path, more: bytes) -> None:
    path = tmp_path / "f.mat"
    names = [f"{role}_{what}" for role in ("query", "gallery") for what in ("f", "label", "cam")]
    savemat(path, {name: NOISE if name.endswith("_f") else ONES for name in names})
    content, at = path.read_bytes(), 128
    forged = content[:at]
    while at < len(content):  # every variable anew, compressed, with bytes at its end that its shape does not know of
        size = int.from_bytes(content[at + 4 : at + 8], "little") + 8
        body = content[at : at + size]
        packed = zlib.compress(body + more if more else body[: size // 2])
        forged += (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed
        at += size
    path.write_bytes(forged)
    with pytest.raises(IntegrityError, match=r"f\.mat (is damaged|ends in the middle)"):
        np.asarray(read_features(path).embedding["gallery"])


def test_one_long_key_named_very_often(tmp_path: Path) -> None:
    """A file of 100 kB with 20,000 keys of 100 kB each: 2 GB, where each is made."""
    path = tmp_path / "f.parquet"
    long = "x" * 100_000
    pd.DataFrame({"key": [long] * 20_000, "embedding": [[1.0]] * 20_000}).to_parquet(path, compression=None)
    tracemalloc.start()
    try:
        found = read_features(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(found, Features)
    assert found.key == [long] * 20_000


def test_keys_that_are_no_texts(tmp_path: Path) -> None:
    pd.DataFrame({"key": [1, 2], "embedding": [[1.0], [2.0]]}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(IntegrityError, match="`key` holds int64 and no texts"):
        read_features(tmp_path / "f.parquet")


def test_a_header_of_gigabytes_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f.npy").write_bytes(b"\x93NUMPY\x02\0\xff\xff\xff\xff" + b" " * 100)
    (tmp_path / "f.csv").write_text("key\na\n")
    with pytest.raises(IntegrityError, match="its header claims 4,294,967,295 bytes"):
        read_features(tmp_path / "f.npy")


@pytest.mark.parametrize("size", [0, 1, 1 << 40])
def test_a_heap_of_texts_that_never_ends_is_refused(tmp_path: Path, size: int) -> None:
    """HDF5's library walks over it in steps of no bytes, and no signal ends that."""
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["embedding"], file["key"] = NOISE, KEYS[:100].astype(object)
    assert isinstance(read_features(path), Features)
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 32] = bytes(8) + size.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="the heap of texts at byte"):
        read_features(path)
