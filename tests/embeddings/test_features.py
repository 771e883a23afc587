from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from sysu30k_bench.embeddings.features.reader import (
    Features,
    LabelledFeatures,
    is_features_file,
    match_to_split,
    read_features,
)
from sysu30k_bench.embeddings.write import to_unit_length
from sysu30k_bench.errors import DataError, IntegrityError, UsageError

KEYS = ["query/a.jpg", "gallery/b.jpg", "gallery/é.jpg"]
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def write(folder: Path, kind: str, rows: np.ndarray = ROWS, keys: list[str] | None = None) -> Path:
    names = KEYS if keys is None else keys
    path = folder / f"features.{kind.partition(' ')[0]}"
    if kind == "h5 fixed":
        with h5py.File(path, "w") as file:
            file["embedding"] = rows
            file["key"] = np.array([name.encode() for name in names])
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("embedding", data=rows, compression="gzip")
            file["key"] = names
    elif kind == "npz":
        np.savez(path, embedding=rows, key=np.array(names))
    elif kind == "npy":
        np.save(path, rows)
        pd.DataFrame({"key": names}).to_csv(path.with_suffix(".csv"), index=False)
    elif kind == "parquet":
        pd.DataFrame({"key": names, "embedding": list(rows)}).to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["h5", "h5 fixed", "npz", "npy", "parquet"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layout_reads_back(tmp_path: Path, kind: str, dtype: str) -> None:
    path = write(tmp_path, kind, ROWS.astype(dtype))
    found = read_features(path)
    assert isinstance(found, Features)
    assert is_features_file(path)
    assert found.key == KEYS
    assert np.array_equal(found.embedding, ROWS)


@pytest.mark.parametrize("kind", ["h5", "npz", "npy", "parquet"])
@pytest.mark.parametrize("harm", ["cut", "integers", "one key less", "three dimensions"])
def test_damaged_files(tmp_path: Path, kind: str, harm: str) -> None:
    rows = {"integers": ROWS.astype(int), "three dimensions": ROWS.reshape(3, 2, 2)}.get(harm, ROWS)
    if harm == "three dimensions" and kind == "parquet":
        rows = ROWS[:, :0]
    if harm == "one key less" and kind == "parquet":
        pytest.skip("a table cannot have it")
    path = write(tmp_path, kind, rows, KEYS[:2] if harm == "one key less" else None)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IntegrityError) as caught:
        read_features(path)
    assert str(path) in str(caught.value)


def test_hostile_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["embedding"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["key"] = KEYS
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("embedding", (1 << 40, 8), "f4")
        file["key"] = KEYS
    np.savez(tmp_path / "pickle.npz", embedding=ROWS, key=np.array([object()] * 3))
    for name in ("link.h5", "bomb.h5", "pickle.npz"):
        with pytest.raises(IntegrityError):
            read_features(tmp_path / name)
    with pytest.raises(DataError):
        read_features(tmp_path / "none.npz")


def test_npy_needs_its_table(tmp_path: Path) -> None:
    write(tmp_path, "npy").with_suffix(".csv").unlink()
    with pytest.raises(IntegrityError, match=r"features\.csv"):
        read_features(tmp_path / "features.npy")


def test_mat_as_layumi_writes_it(tmp_path: Path) -> None:
    content = {"query_f": ROWS, "query_label": [[1, 2, 3]], "query_cam": [[1, 1, 2]],
               "gallery_f": ROWS[:2], "gallery_label": [[1, 2]], "gallery_cam": [[3, 4]]}  # fmt: skip
    savemat(tmp_path / "result.mat", content)
    found = read_features(tmp_path / "result.mat")
    assert isinstance(found, LabelledFeatures)
    assert found.labels["gallery"].camera_id.tolist() == [3, 4]
    savemat(tmp_path / "bad.mat", {**content, "query_cam": [[1]]})
    with pytest.raises(IntegrityError, match="different lengths"):
        read_features(tmp_path / "bad.mat")


def test_matching_is_by_key() -> None:
    features = Features(ROWS, [".\\gallery\\b.jpg", "extra.jpg", "query/a.jpg"])
    rows, missing, unknown = match_to_split(Path("f"), features, KEYS)
    assert rows.tolist() == [2, 0, -1]
    assert (missing, unknown) == (["gallery/é.jpg"], ["extra.jpg"])
    with pytest.raises(IntegrityError, match="more than once") as caught:
        match_to_split(Path("f"), Features(ROWS, ["query/a.jpg", "x", "query/a.jpg"]), KEYS)
    assert caught.value.details == ["query/a.jpg"]
    with pytest.raises(UsageError, match="none of the images"):
        match_to_split(Path("f"), Features(ROWS, ["x", "y", "z"]), KEYS)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-161, 1e-155, 1e-140, 1.0, 1e140, 1e154, 1e308])
def test_rows_of_any_length_are_scaled_alike(size: float) -> None:
    """Squares of small numbers are lost, and those of large ones infinite."""
    rows = np.random.default_rng(1).integers(1, 9, (40, 6)).astype(np.float64)
    wanted = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        given = rows * size if size < 1e308 else rows * 1e307
    unit, bad = to_unit_length(given, "float64")
    assert not bad.any()
    assert np.abs(unit - wanted).max() < (1e-15 if size != 1e-310 else 1e-12)
    given[3], given[4, 2], given[5, 1] = 0, np.nan, np.inf
    assert np.flatnonzero(to_unit_length(given, "float64")[1]).tolist() == [3, 4, 5]
