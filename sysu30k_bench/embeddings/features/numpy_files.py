"""numpy's files: `.npy`, and `.npz`, whose arrays are read by name and never unpickled."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from sysu30k_bench.embeddings.features.declared_size import check_declared, check_rows, require
from sysu30k_bench.embeddings.features.stored import Packed, RowsOnDisk, Stored, columns_on_disk, fill

_CHUNK = 1 << 22
_LONGEST_HEADER = 1 << 16
_LOCAL_HEADER = struct.Struct("<26xHH")


class _Header(NamedTuple):
    shape: tuple[int, ...]
    columns: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def read_npy(path: Path) -> Stored:
    """Opens the embeddings of a `.npy` file.

    Raises:
        ValueError: It is none, is cut off, or holds no matrix.
    """
    with path.open("rb") as file:
        header = _header(file)
    if header.offset + header.nbytes != path.stat().st_size:
        raise ValueError(f"an array of shape {header.shape} does not take {path.stat().st_size:,} bytes")
    return _in_file(path, header, header.offset)


def read_npz(path: Path) -> tuple[Stored, np.ndarray]:
    """Opens `embedding` of a `.npz` file, and reads `key`.

    Returns:
        (N, D), and (N,) of numpy's text types.

    Raises:
        IntegrityError: They claim far more than the file can hold.
        ValueError: They are missing, or do not fit their places in the file.
        zipfile.BadZipFile: The file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        member, header = _member(archive, path, "embedding")
        check_rows(path, "embedding", header.shape[0] if header.shape else 0)
        texts, described = _member(archive, path, "key")
        check_rows(path, "key", described.shape[0] if described.shape else 0)
        with archive.open(texts) as file:
            file.read(described.offset)
            keys = np.empty(described.shape, described.dtype)
            fill(file, keys, path)  # type: ignore[arg-type]
        if member.compress_type != zipfile.ZIP_STORED or len(header.shape) != 2:
            return _packed(path, header, member.filename), keys
        with archive.open(member) as file:  # the bytes are read past the zip later on: its checksum is looked at here
            while file.read(_CHUNK):
                pass
    with path.open("rb") as plain:
        plain.seek(member.header_offset)
        name, extra = _LOCAL_HEADER.unpack(plain.read(_LOCAL_HEADER.size))
    return _in_file(path, header, member.header_offset + _LOCAL_HEADER.size + name + extra + header.offset), keys


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> tuple[zipfile.ZipInfo, _Header]:
    require([name], [member.removesuffix(".npy") for member in archive.namelist()])
    member = archive.getinfo(f"{name}.npy")
    check_declared(path, name, member.file_size)
    with archive.open(member) as file:
        header = _header(file)  # type: ignore[arg-type]
    if header.offset + header.nbytes != member.file_size:
        raise ValueError(f"`{name}` has shape {header.shape} in {member.file_size:,} bytes")
    return member, header


def _header(file: BinaryIO) -> _Header:
    version = npy.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"version {version} of numpy's format is for arrays with named columns")
    if version == (2, 0):  # numpy asks for as many bytes as the header claims before it looks at their number
        length = int.from_bytes(file.read(4), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"its header claims {length:,} bytes")
        file.seek(-4, 1)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, columns, dtype = read(file)
    if dtype.hasobject or not all(length >= 0 for length in shape):
        raise ValueError("it holds Python objects, which are not unpickled")
    return _Header(shape, columns, dtype, file.tell())


def _in_file(path: Path, header: _Header, offset: int) -> Stored:
    if header.columns and len(header.shape) == 2:
        return columns_on_disk(path, offset, header.shape, header.dtype)
    return RowsOnDisk(path, offset, header.shape, header.dtype)


def _packed(path: Path, header: _Header, name: str) -> Packed:
    @contextmanager
    def unpack() -> Iterator[BinaryIO]:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            file.read(header.offset)
            yield file  # type: ignore[misc]

    return Packed(path, header.shape, header.dtype, columns=header.columns, unpack=unpack)
