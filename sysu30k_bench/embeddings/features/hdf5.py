"""HDF5 features files, and MATLAB's of version 7.3: data sets of this file alone, opened and not yet read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from sysu30k_bench.embeddings.features.declared_size import check_declared, check_rows, require
from sysu30k_bench.embeddings.features.hdf5_heaps import check_heaps
from sysu30k_bench.embeddings.features.stored import BLOCK_BYTES, HELD_BYTES, RowsOnDisk, Stored, columns_on_disk

_TEXTS_AT_ONCE = 64


def read_hdf5(path: Path) -> tuple[Stored, np.ndarray]:
    """Opens `embedding` of an HDF5 file, and reads `key`.

    Returns:
        (N, D), and (N,) texts or bytes.

    Raises:
        IntegrityError: They claim far more than the file can hold.
        ValueError: They are missing, are links, or are stored outside this file.
    """
    with h5py.File(path, "r") as file:
        require(("embedding", "key"), map(str, file))
        embedding, key = (_dataset(file, path, name) for name in ("embedding", "key"))
        for name, dataset in (("embedding", embedding), ("key", key)):
            check_rows(path, name, dataset.shape[0] if dataset.shape else 0)
        if key.dtype.kind == "O":
            check_heaps(path)
        return _by_row(path, "embedding", embedding), _texts(key)


def read_matrices(path: Path, names: Sequence[str], *, turned: bool) -> dict[str, Stored]:
    """Opens matrices of an HDF5 file by name.

    Args:
        path: The file.
        names: Those wanted.
        turned: Whether they lie column after column, as MATLAB writes them.

    Raises:
        IntegrityError: One claims far more than the file can hold.
        ValueError: One is missing, a link, or stored outside this file.
    """
    opened = _by_column if turned else _by_row
    with h5py.File(path, "r") as file:
        require(names, map(str, file))
        return {name: opened(path, name, _dataset(file, path, name)) for name in names}


def _dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"`{name}` is a link or no array")
    dataset = file[name]
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"`{name}` is not stored in this file")
    chunk = int(np.prod(dataset.chunks or (), dtype=object)) * dataset.dtype.itemsize
    check_declared(path, name, max(dataset.nbytes, chunk))
    return dataset


def _texts(dataset: h5py.Dataset) -> np.ndarray:
    """Reads texts; those of any length a few at a time, since many may point to one long text."""
    if dataset.dtype.kind != "O" or dataset.ndim != 1:
        whole: np.ndarray = dataset[:]
        return whole
    texts: list[bytes] = []
    for start in range(0, len(dataset), _TEXTS_AT_ONCE):
        texts += dataset[start : start + _TEXTS_AT_ONCE].tolist()
        check_declared(Path(dataset.file.filename), "key", sum(map(len, texts[-_TEXTS_AT_ONCE:])))
    return np.array(texts, object)


def _by_row(path: Path, name: str, dataset: h5py.Dataset) -> Stored:
    shape, dtype, chunks = dataset.shape, dataset.dtype, dataset.chunks or dataset.shape
    if not shape:
        raise ValueError(f"`{name}` is a single value")
    row_bytes = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
    offset = _plain_offset(dataset)
    if offset is not None:
        return RowsOnDisk(path, offset, shape, dtype)

    def read() -> Iterator[np.ndarray]:
        with h5py.File(path, "r") as file:
            for part in _parts(shape[0], row_bytes, chunks[0]):
                yield file[name][part]

    return Stored(path, shape, dtype, read)


def _by_column(path: Path, name: str, dataset: h5py.Dataset) -> Stored:
    if dataset.ndim != 2:
        raise ValueError(f"`{name}` has shape {dataset.shape}, and is no matrix")
    width, rows = dataset.shape
    dtype, chunks = dataset.dtype, dataset.chunks or dataset.shape
    offset = _plain_offset(dataset)
    if offset is not None:
        return columns_on_disk(path, offset, (rows, width), dtype)

    def read() -> Iterator[np.ndarray]:
        with h5py.File(path, "r") as file:
            for part in _parts(rows, width * dtype.itemsize, chunks[1]):
                yield np.ascontiguousarray(file[name][:, part].T)

    return Stored(path, (rows, width), dtype, read)


def _plain_offset(dataset: h5py.Dataset) -> int | None:
    """Returns where the plain numbers are in the file, or None."""
    if dataset.chunks is not None or dataset.ndim != 2:
        return None
    offset: int | None = dataset.id.get_offset()
    return offset


def _parts(rows: int, row_bytes: int, chunk: int) -> Iterator[slice]:
    """Cuts rows into parts of 64 MiB, or of up to 256 MiB so that they end where chunks end."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    if step >= chunk:
        step -= step % chunk
    elif chunk * row_bytes <= HELD_BYTES:
        step = chunk
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
