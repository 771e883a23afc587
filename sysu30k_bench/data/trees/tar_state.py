"""What says that an index is whole, is its tar's, and is as it was written: three digests."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import xxhash

from sysu30k_bench.data.trees.tar_rows import sum_of_rows
from sysu30k_bench.errors import DataError

_SEAL = b"sysu30k-bench index xxh3-128 "
_SEALED_BY = len(_SEAL) + 32
_CHUNK = 1 << 22
_SAMPLES, _SAMPLE = 16, 4096

State = dict[str, int | str]


def state_of_tar(path: Path) -> State:
    """Returns what an index must know of its tar to be its index: size, time of change, a digest of samples.

    Raises:
        DataError: The tar cannot be read.
    """
    digest = xxhash.xxh3_128()
    try:
        status = path.stat()
        with path.open("rb") as file:
            for number in range(_SAMPLES + 1):
                file.seek(max(0, status.st_size - _SAMPLE) * number // _SAMPLES)
                digest.update(file.read(_SAMPLE))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", hint="check the disk") from error
    return {"size": status.st_size, "changed": status.st_mtime_ns, "samples": digest.hexdigest()}


def read_state(index: sqlite3.Connection) -> State:
    """Reads an index's table of what it knows of itself.

    Raises:
        sqlite3.DatabaseError: It has none.
    """
    return dict(index.execute("select name, value from state"))


def seal(path: Path) -> None:
    """Writes the digest of an index behind it, where SQLite, which counts in pages, does not look."""
    digest = _digest(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(_SEAL + digest.encode())
        file.flush()
        os.fsync(file.fileno())


def unseal(path: Path) -> None:
    """Takes the digest off, if it exists: an index that was sealed and not yet named is used."""
    size = path.stat().st_size - _SEALED_BY
    with path.open("r+b") as file:
        file.seek(max(0, size))
        if file.read(len(_SEAL)) == _SEAL:
            file.truncate(size)


def is_sealed(path: Path) -> bool:
    """Whether an index is, to the last bit, as it was sealed; false where it cannot be read."""
    try:
        size = path.stat().st_size - _SEALED_BY
        with path.open("rb") as file:
            file.seek(max(0, size))
            written = file.read()
        return written == _SEAL + _digest(path, size).encode()
    except OSError:
        return False


def _digest(path: Path, size: int) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(size, _CHUNK))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def sign(index: sqlite3.Connection) -> None:
    """Writes a digest of what an index knows of itself; the last thing before a commit."""
    index.execute("insert or replace into state values ('digest', ?)", (_state_digest(read_state(index)),))


def is_intact(index: sqlite3.Connection) -> bool:
    """Whether an index that is not yet whole is as it was committed: its structure, its rows and its state."""
    try:
        state = read_state(index)
        return (
            state.get("digest") == _state_digest(state)
            and state.get("rows") == sum_of_rows(index)
            and index.execute("pragma integrity_check(1)").fetchone() == ("ok",)
        )
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return False


def _state_digest(state: State) -> str:
    values = sorted((name, value) for name, value in state.items() if name != "digest")
    return xxhash.xxh3_128_hexdigest(repr(values).encode())
