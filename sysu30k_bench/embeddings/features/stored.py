"""Embeddings that stay in their file: read by row where it allows that, else copied once to one that does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sysu30k_bench.errors import BenchError, IntegrityError
from sysu30k_bench.files import PARTIAL_SUFFIX, unwritable

BLOCK_BYTES = 64 << 20
_CHUNK = 4 << 20
HELD_BYTES = 256 << 20
"""Up to this size embeddings that cannot be read by row are held in memory."""


class Stored:
    """Embeddings in a file, to be read in order.

    Args:
        path: The file, for messages.
        shape: (N, D).
        dtype: Type of the numbers that are given.
        read: Returns the rows in order, in blocks (b, D) of some 64 MiB.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[], Iterator[np.ndarray]]
    ) -> None:
        self.path, self.shape, self.dtype, self._read = path, shape, dtype, read

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: ANN401
        return np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *self.blocks()]).astype(dtype or self.dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields all rows in order, (b, D).

        Raises:
            IntegrityError: The file is damaged, or does not hold as many as it says.
        """
        rows = 0
        with _damage_named(self.path):
            for block in self._read():
                rows += len(block)
                yield block
        if rows != len(self):
            raise IntegrityError(f"{self.path} holds {rows:,} embeddings, but its header states {len(self):,}")


class RowsOnDisk(Stored):
    """Embeddings that lie in a file row after row, and can be read by their numbers.

    Args:
        path: The file.
        offset: Where the first row starts.
        shape: (N, D).
        dtype: Type of the numbers as they lie there.
    """

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(path, shape, dtype, self._in_order)
        self._offset = offset

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Reads (P,) rows, in the order asked for; neighbours in the file are read at once."""
        order = np.argsort(rows, kind="stable")
        ascending = np.asarray(rows)[order]
        read = np.empty((len(rows), self.shape[1]), self.dtype)
        runs = [*np.flatnonzero(np.diff(ascending, prepend=-2) != 1).tolist(), len(rows)]
        width = self.shape[1] * self.dtype.itemsize
        with self.path.open("rb", buffering=0) as file:
            for start, stop in pairwise(runs):
                file.seek(self._offset + int(ascending[start]) * width)
                fill(file, read[start:stop], self.path)
        if np.array_equal(order, np.arange(len(order))):
            return read
        out = np.empty_like(read)
        out[order] = read
        return out

    def _in_order(self) -> Iterator[np.ndarray]:
        for part in _parts(self.shape, self.dtype):
            yield self[np.arange(part.start, part.stop)]


def columns_on_disk(path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Stored:
    """Embeddings that lie in a file column after column, as MATLAB and Fortran have them.

    Args:
        path: The file.
        offset: Where the first column starts.
        shape: (N, D).
        dtype: Type of the numbers as they lie there.
    """

    def read() -> Iterator[np.ndarray]:
        rows, width = shape
        with path.open("rb", buffering=0) as file:
            for part in _parts(shape, dtype):
                turned = np.empty((width, len(part)), dtype)
                for column in range(width):
                    file.seek(offset + (column * rows + part.start) * dtype.itemsize)
                    fill(file, turned[column], path)
                yield np.ascontiguousarray(turned.T)

    return Stored(path, shape, dtype, read)


class Packed(Stored):
    """Embeddings in a compressed part of a file, which gives its bytes in order only.

    Args:
        path: The file.
        shape: (N, D).
        dtype: Type of the numbers as they are packed.
        columns: Whether column comes after column, not row after row.
        unpack: Opens the bytes of the numbers.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        columns: bool,
        unpack: Callable[[], AbstractContextManager[BinaryIO]],
    ) -> None:
        super().__init__(path, shape, dtype, self._in_order)
        self.columns, self._unpack = columns, unpack

    def unpacked(self) -> Iterator[np.ndarray]:
        """Yields the numbers as they are packed, (n,) at a time.

        Raises:
            IntegrityError: The file is damaged.
        """
        with _damage_named(self.path), self._unpack() as file:
            for start in range(0, self.nbytes, BLOCK_BYTES):
                part = np.empty(min(BLOCK_BYTES, self.nbytes - start) // self.dtype.itemsize, self.dtype)
                fill(file, part, self.path)
                yield part

    def _in_order(self) -> Iterator[np.ndarray]:
        if self.columns:
            yield np.concatenate(list(self.unpacked())).reshape(self.shape, order="F")
            return
        with self._unpack() as file:
            for part in _parts(self.shape, self.dtype):
                block = np.empty((len(part), self.shape[1]), self.dtype)
                fill(file, block, self.path)
                yield block


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except BenchError:
        raise
    except Exception as error:  # five libraries' readers raise a dozen types on damaged bytes
        raise IntegrityError(f"{path} is damaged: {error}", hint="copy or create it again") from error


@contextmanager
def by_row(embedding: np.ndarray | Stored, folder: Path) -> Iterator[np.ndarray | RowsOnDisk]:
    """Gives embeddings whose rows can be read in any order, with memory for a few blocks.

    What can be read only in order is held in memory up to 256 MiB, and else written once to a file that is removed at
    the end.

    Args:
        embedding: (N, D).
        folder: Where such a file goes.

    Raises:
        DataError: The disk is full or the folder cannot be written.
        IntegrityError: The file ends too early, or was changed.
    """
    if not isinstance(embedding, Stored) or isinstance(embedding, RowsOnDisk):
        yield embedding
    elif embedding.nbytes <= HELD_BYTES:
        yield np.asarray(embedding)
    elif isinstance(embedding, Packed) and embedding.columns:
        with (
            _copied(embedding.unpacked(), folder, "columns") as path,
            by_row(columns_on_disk(path, 0, embedding.shape, embedding.dtype), folder) as rows,
        ):
            yield rows
    else:
        with _copied(embedding.blocks(), folder, "rows") as path:
            yield RowsOnDisk(path, 0, embedding.shape, embedding.dtype)


@contextmanager
def _copied(parts: Iterator[np.ndarray], folder: Path, what: str) -> Iterator[Path]:
    path = folder / f".{what}.{os.getpid()}{PARTIAL_SUFFIX}"
    try:
        try:
            with path.open("wb") as file:
                for part in parts:
                    file.write(np.ascontiguousarray(part).data)
        except OSError as error:
            raise unwritable(path, error) from error
        yield path
    finally:
        path.unlink(missing_ok=True)


def fill(file: BinaryIO, out: np.ndarray, path: Path) -> None:
    """Reads an array's bytes from a file's current position.

    Raises:
        IntegrityError: The file ends before.
    """
    view = out.reshape(-1).view(np.uint8).data
    while len(view):
        count = file.readinto(view[:_CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise IntegrityError(f"{path} ends in the middle of its embeddings", hint="copy or create it again")
        view = view[count:]


def _parts(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[range]:
    rows = max(1, BLOCK_BYTES // max(1, shape[1] * dtype.itemsize))
    for start in range(0, shape[0], rows):
        yield range(start, min(start + rows, shape[0]))
