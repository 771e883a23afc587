"""Embeddings that were made elsewhere: HDF5, npz, npy with a table, parquet, or the `.mat` of layumi's scripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sysu30k_bench.embeddings.features.hdf5 import read_hdf5
from sysu30k_bench.embeddings.features.keys import read_keys
from sysu30k_bench.embeddings.features.mat import read_mat
from sysu30k_bench.embeddings.features.numpy_files import read_npy, read_npz
from sysu30k_bench.embeddings.features.parquet import read_parquet
from sysu30k_bench.embeddings.features.stored import Stored
from sysu30k_bench.errors import BenchError, DataError, IntegrityError, UsageError
from sysu30k_bench.words import count

MAX_BYTES = 1 << 40
_MAX_DIMENSION = 1_000_000


@dataclass(frozen=True)
class OwnLabels:
    """Labels that a features file brings itself, for one role.

    Attributes:
        person_id: (N,) int64.
        camera_id: (N,) int64.
    """

    person_id: np.ndarray
    camera_id: np.ndarray


@dataclass(frozen=True)
class Features:
    """What a features file holds.

    Attributes:
        embedding: (N, D) floating point, for files with keys; left in the file where it can be.
        key: N keys.
    """

    embedding: np.ndarray | Stored
    key: list[str]


@dataclass(frozen=True)
class LabelledFeatures:
    """What a `.mat` file of layumi's scripts holds: embeddings and labels of both roles, and no keys.

    Attributes:
        embedding: (N, D) by role, left in the file.
        labels: By role.
    """

    embedding: dict[str, np.ndarray | Stored]
    labels: dict[str, OwnLabels]


def is_features_file(path: Path) -> bool:
    """Says whether a path's ending is one of a features file."""
    return path.suffix.lower() in _READERS


def read_features(path: Path) -> Features | LabelledFeatures:
    """Reads a features file; nothing in it is run, and keys decide what a row is of.

    Layouts: HDF5 and npz with `embedding` (N, D) and `key` (N); `X.npy` (N, D) with `X.csv` beside it, whose column
    `key` names the rows; parquet with columns `key` and `embedding`; `.mat`, up to version 7.3, with `query_f`,
    `query_label`, `query_cam` and the same of `gallery`, as layumi's test.py writes it. There, too, 0 is a person like
    any other, labels below 0 are nobody's, and -1 is junk.

    Args:
        path: The file.

    Returns:
        Embeddings with their keys, or with their own labels.

    Raises:
        DataError: There is no such file, or the package that reads it is not installed.
        IntegrityError: It is damaged or not of its layout.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    if path.stat().st_size > MAX_BYTES:
        raise IntegrityError(f"{path} is too large for a features file")
    try:
        found = _READERS[path.suffix.lower()](path)
    except BenchError:
        raise
    except Exception as error:  # five libraries' readers raise a dozen types on damaged bytes
        raise IntegrityError(
            f"{path} is damaged or not a features file: {error}",
            hint="docs/adapters.md lists the supported layouts",
        ) from error
    for embedding in found.embedding.values() if isinstance(found, LabelledFeatures) else [found.embedding]:
        _check_matrix(path, embedding)
    if isinstance(found, Features) and len(found.key) != len(found.embedding):
        raise IntegrityError(f"{path} has {len(found.embedding)} embeddings and {len(found.key)} keys")
    return found


def _check_matrix(path: Path, embedding: np.ndarray | Stored) -> None:
    if embedding.ndim != 2 or embedding.dtype.kind != "f" or not 1 <= embedding.shape[1] <= _MAX_DIMENSION:
        raise IntegrityError(f"{path}: embeddings are {embedding.dtype} of shape {embedding.shape}, not floats (N, D)")


def _hdf5(path: Path) -> Features:
    embedding, key = read_hdf5(path)
    return Features(embedding, _texts(key))


def _npz(path: Path) -> Features:
    embedding, key = read_npz(path)
    return Features(embedding, _texts(key))


def _npy(path: Path) -> Features:
    table = path.with_suffix(".csv")
    if not table.is_file():
        raise ValueError(f"{table.name}, whose column `key` names the rows, is not beside it")
    return Features(read_npy(path), read_keys(table))


def _parquet(path: Path) -> Features:
    embedding, key = read_parquet(path)
    return Features(embedding, [str(name) for name in key])


def _mat(path: Path) -> LabelledFeatures:
    roles = ("query", "gallery")
    content = read_mat(path, [f"{role}_{what}" for role in roles for what in ("f", "label", "cam")])
    labels = {
        role: OwnLabels(*(_whole_numbers(f"{role}_{what}", content[f"{role}_{what}"]) for what in ("label", "cam")))
        for role in roles
    }
    embedding: dict[str, np.ndarray | Stored] = {role: content[f"{role}_f"] for role in roles}
    for role, matrix in embedding.items():
        if not len(matrix) == len(labels[role].person_id) == len(labels[role].camera_id):
            raise ValueError(f"{role}_f, {role}_label and {role}_cam have different lengths")
    return LabelledFeatures(embedding, labels)


def _whole_numbers(name: str, stored: Stored) -> np.ndarray:
    values = np.asarray(stored)
    if not (np.isfinite(values).all() and np.array_equal(values, np.rint(values))):
        raise ValueError(f"`{name}` holds numbers that are not whole")
    return values.ravel().astype(np.int64)


_READERS: dict[str, Callable[[Path], Features | LabelledFeatures]] = {
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".npz": _npz,
    ".npy": _npy,
    ".parquet": _parquet,
    ".mat": _mat,
}


def _texts(values: np.ndarray) -> list[str]:
    if values.ndim != 1 or values.dtype.kind not in "SUO":
        raise ValueError("`key` is not a list of texts")
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def match_to_split(path: Path, features: Features, keys: list[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """Finds the row of each key of a split.

    Args:
        path: The features file, for messages.
        features: What it holds.
        keys: The split's keys.

    Returns:
        Rows (N,) int64, -1 where the file lacks the key; the keys that it lacks; the file's keys that are none of the
        split.

    Raises:
        IntegrityError: Some keys of the split occur more than once in the file; they are named.
        UsageError: None of the keys is in the file.
    """
    row_of: dict[str, int] = {}
    wanted, double = set(keys), []
    for row, key in enumerate(features.key):
        name = key.replace("\\", "/").removeprefix("./")
        if name in row_of and name in wanted:
            double.append(name)
        row_of[name] = row
    if double:
        raise IntegrityError(
            f"{path} holds {count(len(double), 'image')} more than once", details=double, hint="write each image once"
        )
    rows = np.fromiter((row_of.get(key, -1) for key in keys), np.int64, len(keys))
    missing = [key for key, row in zip(keys, rows.tolist(), strict=True) if row < 0]
    if len(missing) == len(keys):
        raise UsageError(
            f"{path} holds none of the images of the split: its keys look like {next(iter(row_of), 'nothing')!r}",
            hint=f"keys must look like {keys[0]!r}, relative to the folder above query/ and gallery/",
        )
    return rows, missing, sorted(set(row_of) - wanted)
