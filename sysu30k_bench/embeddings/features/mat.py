"""MATLAB's files: versions 5 to 7 are read here, 7.3 is HDF5, and 4 is left to scipy."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import h5py
import numpy as np

from sysu30k_bench.embeddings.features.declared_size import check_declared, require
from sysu30k_bench.embeddings.features.hdf5 import read_matrices
from sysu30k_bench.embeddings.features.stored import Packed, Stored, columns_on_disk

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HEADER = 128
_MATLAB_73 = b"MATLAB 7.3"
_MATRIX, _COMPRESSED = 14, 15
_COMPLEX = 0x0800
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CHUNK = 1 << 16
_MAX_LABEL = 4096


class _Element(NamedTuple):
    start: int
    size: int
    compressed: bool
    order: str


class _Variable(NamedTuple):
    name: str
    shape: tuple[int, ...]
    given: np.dtype[Any]
    stored: np.dtype[Any]
    before: int


def read_mat(path: Path, names: Sequence[str]) -> dict[str, Stored]:
    """Opens matrices of numbers in a `.mat` file of any version, by name; nothing else in it is looked at.

    Args:
        path: The file.
        names: Those wanted.

    Raises:
        IntegrityError: One claims far more than the file can hold.
        ValueError: One is missing or holds something else; or whatever scipy and h5py raise on damaged files.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER)
    order = {b"IM": "<", b"MI": ">"}.get(start[126:128])
    if h5py.is_hdf5(path):
        found = read_matrices(path, names, turned=start.startswith(_MATLAB_73))  # MATLAB's columns are HDF5's rows
    else:
        found = _version_4(path, names) if order is None else _version_5(path, names, order)
    for name, matrix in found.items():
        if matrix.dtype.kind not in "fiub":
            raise ValueError(f"`{name}` holds {matrix.dtype} and no numbers; save plain arrays, with -v7")
    return found


def _version_4(path: Path, names: Sequence[str]) -> dict[str, Stored]:
    """Nothing in such a file is compressed: what it holds is no larger than it is."""
    from scipy.io import loadmat, whosmat

    for name, shape, _ in whosmat(path):
        check_declared(path, name, int(np.prod(shape, dtype=object)))
    content = loadmat(path, variable_names=list(names))
    require(names, [name for name in content if not name.startswith("__")])
    return {name: _held(path, np.asarray(content[name])) for name in names}


def _held(path: Path, value: np.ndarray) -> Stored:
    return Stored(path, value.shape, value.dtype, lambda: iter([value]))


def _version_5(path: Path, names: Sequence[str], order: str) -> dict[str, Stored]:
    found, there = {}, []
    with path.open("rb") as file:
        for element in _elements(file, path.stat().st_size, order):
            with _inside(path, element) as inside:
                name, variable = _variable(inside, element, names)
            there.append(name)
            if variable is not None:
                count = int(np.prod(variable.shape, dtype=object))
                check_declared(path, variable.name, count * max(variable.given.itemsize, variable.stored.itemsize))
                found[name] = _matrix(path, element, variable)
    require(names, there)
    return found


def _elements(file: BinaryIO, size: int, order: str) -> Iterator[_Element]:
    at = _HEADER
    while at < size:
        file.seek(at)
        kind, length = struct.unpack(f"{order}II", _exactly(file, 8))
        at += 8
        if kind not in {_MATRIX, _COMPRESSED} or at + length > size:
            raise ValueError(f"an element of kind {kind} and {length:,} bytes is at byte {at:,}")
        yield _Element(at, length, kind == _COMPRESSED, order)
        at += length


@contextmanager
def _inside(path: Path, element: _Element, skip: int = 0) -> Iterator[BinaryIO]:
    """Opens the content after a variable's tag; it begins with the variable's class."""
    with path.open("rb") as file:
        file.seek(element.start)
        if element.compressed:
            inflated = io.BufferedReader(_Inflated(file, element.size), _CHUNK)
            kind, _ = struct.unpack(f"{element.order}II", _exactly(inflated, 8))
            if kind != _MATRIX:
                raise ValueError(f"a compressed element is of kind {kind}, and no variable")
            _exactly(inflated, skip)
            yield inflated
        else:
            yield file


def _variable(inside: BinaryIO, element: _Element, names: Sequence[str]) -> tuple[str, _Variable | None]:
    """Reads what a variable is, up to its numbers; of those that are not wanted the name alone."""
    start, order = inside.tell(), element.order
    flags = struct.unpack(f"{order}I", _label(inside, order)[:4])[0]
    shape = tuple(np.frombuffer(_label(inside, order), f"{order}i4").tolist())
    name = _label(inside, order).decode("latin-1")
    if name not in names:
        return name, None
    given = _CLASSES.get(flags & 0xFF)
    kind, size, _ = _tag(inside, order)
    stored = _NUMBERS.get(kind)
    if given is None or stored is None or flags & _COMPLEX or min(shape, default=-1) < 0:
        raise ValueError(f"`{name}` is no matrix of real numbers")
    number = np.dtype(order + stored)
    if int(np.prod(shape, dtype=object)) * number.itemsize != size:
        raise ValueError(f"`{name}` has shape {shape} in {size:,} bytes")
    return name, _Variable(name, shape, np.dtype(order + given), number, inside.tell() - start)


def _matrix(path: Path, element: _Element, variable: _Variable) -> Stored:
    shape, stored, given = variable.shape, variable.stored, variable.given

    @contextmanager
    def unpack() -> Iterator[BinaryIO]:
        with _inside(path, element, variable.before) as inside:
            yield inside
            if len(inside.read(8)) == 8:  # numbers are padded to eight bytes; zlib's checksum comes last
                raise ValueError(f"`{variable.name}` is longer than its header states")

    if element.compressed:
        raw: Stored = Packed(path, shape, stored, columns=True, unpack=unpack)
    else:
        raw = columns_on_disk(path, element.start + variable.before, shape, stored)
    if stored == given:
        return raw
    return Stored(path, shape, given, lambda: (block.astype(given) for block in raw.blocks()))


def _label(inside: BinaryIO, order: str) -> bytes:
    """Reads one of the short elements before the numbers."""
    _, size, padding = _tag(inside, order)
    if size > _MAX_LABEL:
        raise ValueError(f"{size:,} bytes are in the place of a variable's class, shape or name")
    return _exactly(inside, size + padding)[:size]


def _tag(inside: BinaryIO, order: str) -> tuple[int, int, int]:
    """Reads the kind of an element, its bytes, and the padding behind them."""
    (first,) = struct.unpack(f"{order}I", _exactly(inside, 4))
    if first >> 16:
        return first & 0xFFFF, first >> 16, max(0, 4 - (first >> 16))
    (size,) = struct.unpack(f"{order}I", _exactly(inside, 4))
    return first, size, -size % 8


def _exactly(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise ValueError("it ends in the middle of a variable")
    return content


class _Inflated(io.RawIOBase):
    """The bytes behind zlib's compression, in order, a little at a time."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left, self._zlib, self._given = file, size, zlib.decompressobj(), 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._given

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        room = memoryview(buffer).cast("B")
        while not self._zlib.eof:
            packed = self._zlib.unconsumed_tail
            if not packed:
                packed = self._file.read(min(_CHUNK, self._left))
                self._left -= len(packed)
            content = self._zlib.decompress(packed, len(room))
            if content:
                room[: len(content)] = content
                self._given += len(content)
                return len(content)
            if not packed:
                raise ValueError("a compressed variable is cut off")
        return 0
