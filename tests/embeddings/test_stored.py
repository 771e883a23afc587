"""Features that stay in their file: every layout, in any order, by memory and by a copy on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from sysu30k_bench.embeddings.features import hdf5 as features_hdf5
from sysu30k_bench.embeddings.features import stored
from sysu30k_bench.embeddings.features.reader import LabelledFeatures, read_features
from sysu30k_bench.embeddings.features.stored import RowsOnDisk, Stored, by_row
from sysu30k_bench.errors import DataError, IntegrityError

ROWS = np.random.default_rng(0).standard_normal((301, 12)).astype(np.float32)
KEYS = [f"gallery/{number}.jpg" for number in range(len(ROWS))]


def numpy_file(order: str, dtype: str = "<f4") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "f.npy", np.asarray(ROWS.astype(dtype), order=order))  # type: ignore[call-overload]
        pd.DataFrame({"key": KEYS}).to_csv(folder / "f.csv", index=False)
        return folder / "f.npy"

    return write


def zipped(order: str, *, compressed: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        rows = np.asarray(ROWS, order=order)  # type: ignore[call-overload]
        (np.savez_compressed if compressed else np.savez)(folder / "f.npz", embedding=rows, key=np.array(KEYS))
        return folder / "f.npz"

    return write


def hdf5(**options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with h5py.File(folder / "f.h5", "w") as file:
            file.create_dataset("embedding", data=ROWS, **options)
            file["key"] = KEYS
        return folder / "f.h5"

    return write


def parquet(group: int, *, fixed: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        import pyarrow as pa
        from pyarrow import parquet

        flat = pa.array(ROWS.ravel())
        lists = pa.FixedSizeListArray.from_arrays(flat, 12)
        column = lists if fixed else lists.cast(pa.list_(pa.float32()))
        parquet.write_table(pa.table({"embedding": column, "key": KEYS}), folder / "f.parquet", row_group_size=group)
        return folder / "f.parquet"

    return write


def labelled() -> dict[str, np.ndarray]:
    ones = np.arange(1.0, len(ROWS) + 1)
    roles = {"query": slice(0, 5), "gallery": slice(None)}
    return {
        f"{role}_{what}": value[part]
        for role, part in roles.items()
        for what, value in (("f", ROWS), ("label", ones), ("cam", ones))
    }


def mat(*, compressed: bool, version: str = "5") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        savemat(folder / "f.mat", labelled(), do_compression=compressed, format=version)
        return folder / "f.mat"

    return write


def mat73(**options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with h5py.File(folder / "f.mat", "w", userblock_size=512) as file:
            for name, value in labelled().items():
                file.create_dataset(name, data=np.atleast_2d(value).T, **(options if name == "gallery_f" else {}))
        with (folder / "f.mat").open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
        return folder / "f.mat"

    return write


WRITERS = {
    "npy": numpy_file("C"),
    "npy, columns": numpy_file("F"),
    "npy, other byte order": numpy_file("C", ">f4"),
    "npz": zipped("C", compressed=False),
    "npz, columns": zipped("F", compressed=False),
    "npz, compressed": zipped("C", compressed=True),
    "npz, compressed columns": zipped("F", compressed=True),
    "h5": hdf5(),
    "h5, compressed": hdf5(compression="gzip", chunks=(50, 5)),
    "h5, tall chunks": hdf5(compression="lzf", chunks=(301, 1)),
    "parquet": parquet(1000, fixed=False),
    "parquet, groups": parquet(70, fixed=True),
    "mat": mat(compressed=False),
    "mat, compressed": mat(compressed=True),
    "mat, version 4": mat(compressed=False, version="4"),
    "mat, version 7.3": mat73(),
    "mat, version 7.3, compressed": mat73(compression="gzip", chunks=(3, 40)),
}
BY_ROW = {"npy", "npy, other byte order", "npz", "h5"}


def gallery(path: Path) -> np.ndarray | Stored:
    found = read_features(path)
    return found.embedding["gallery"] if isinstance(found, LabelledFeatures) else found.embedding


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("kind", WRITERS)
def test_rows_in_any_order(tmp_path: Path, kind: str, held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = WRITERS[kind](tmp_path)
    if not held:
        monkeypatch.setattr(stored, "HELD_BYTES", 0)
        for module in (stored, features_hdf5):
            monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    embedding = gallery(path)
    assert embedding.shape == ROWS.shape
    assert isinstance(embedding, RowsOnDisk) == (kind in BY_ROW)
    assert np.array_equal(np.asarray(embedding), ROWS)
    run = tmp_path / "run"
    run.mkdir()
    with by_row(embedding, run) as rows:
        assert isinstance(rows, RowsOnDisk) == (kind in BY_ROW or not held)
        assert len(list(run.iterdir())) in ({0} if held or kind in BY_ROW else {1, 2})
        for wanted in (np.random.default_rng(1).permutation(301), np.arange(7, 90), np.array([3, 3, 2]), np.arange(0)):
            assert np.array_equal(rows[wanted], ROWS[wanted])
    assert not list(run.iterdir())


@pytest.mark.parametrize("kind", ["npz, compressed", "npz, compressed columns", "mat, compressed", "h5, compressed"])
def test_a_flipped_bit_in_what_is_compressed_is_found(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"f\.\w+"), by_row(gallery(path), tmp_path) as rows:
        assert not np.array_equal(rows[np.arange(301)], ROWS)


def test_a_flipped_bit_in_an_uncompressed_npz_is_found_at_once(tmp_path: Path) -> None:
    path = WRITERS["npz"](tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 8
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="CRC"):
        read_features(path)


@pytest.mark.parametrize("kind", ["npy", "npy, columns", "npz, compressed"])
def test_a_file_that_is_cut_off_after_it_was_opened(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path)
    embedding = gallery(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(IntegrityError), by_row(embedding, tmp_path) as rows:
        rows[np.arange(301)]


def test_a_copy_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "HELD_BYTES", 0)
    embedding = gallery(WRITERS["npz, compressed"](tmp_path))
    with pytest.raises(DataError, match="cannot write"), by_row(embedding, tmp_path / "none"):
        pass


def test_rows_of_different_lengths(tmp_path: Path) -> None:
    pd.DataFrame({"key": ["a", "b"], "embedding": [ROWS[0], ROWS[1, :5]]}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(IntegrityError, match="another length"):
        np.asarray(gallery(tmp_path / "f.parquet"))
