"""Files written whole or not at all, and their digests."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sysu30k_bench.errors import DataError, UnwritableError

PARTIAL_SUFFIX = ".partial"
_CHUNK = 1 << 22
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
"""Of this machine: whether a process runs is known of no other."""


def write_atomically(path: Path, content: bytes | memoryview, *, private: bool = False) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and take the final name by a rename.

    Args:
        path: The final name. Its folder is made if need be.
        content: All of the file's bytes.
        private: Let nobody but this user read it.

    Raises:
        DataError: The disk is full or the folder cannot be written.
    """
    with writing_atomically(path, len(content)) as temporary, temporary.open("wb") as file:
        if private:
            temporary.chmod(0o600)
        file.write(content)


@contextmanager
def writing_atomically(path: Path, size: int | None = None) -> Iterator[Path]:
    """Gives a temporary name to write to, which becomes the final one where nothing goes wrong.

    Args:
        path: The final name. Its folder is made if need be.
        size: The bytes that will be written, where known.

    Yields:
        A name in the same folder. What a killed process left there is removed by the next one that writes this file,
        or by `remove_partials`.

    Raises:
        DataError: The disk is full or the folder cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a rename would replace a device by a file
        raise DataError(f"cannot write {path}: it is a device or a pipe", hint="name a file")
    temporary = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        remove_quietly(temporary)
        raise unwritable(path, error, size) from error
    except BaseException:
        remove_quietly(temporary)
        raise
    _sync_folder(path.parent)


def unwritable(path: Path, error: OSError, size: int | None = None) -> UnwritableError:
    """Turns the system's refusal to write into an error that says what to do.

    Args:
        path: What was being written.
        error: What the system said.
        size: The bytes that were to be written, where known.
    """
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        wanted = f" ({size:,} bytes)" if size is not None else ""
        return UnwritableError(
            f"the disk is full: could not write {path}{wanted}",
            hint="free some space, or write to another disk; what is finished is kept, and the same command resumes",
        )
    in_the_way = error.errno in {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}
    return UnwritableError(
        f"cannot write {path}: {error.strerror or error}",
        hint="move what stands there out of the way" if in_the_way else "let this user write there, or write elsewhere",
    )


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """Returns the SHA-256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_text(text: str) -> str:
    """Returns the SHA-256 of a text's UTF-8 bytes, in hex."""
    return sha256_of_bytes(text.encode("utf-8"))


def remove_partials(folder: Path) -> None:
    """Removes what an interrupted `write_atomically` left in a folder."""
    for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
        remove_quietly(leftover)


def is_empty(folder: Path) -> bool:
    """Returns whether a folder contains nothing but what an interrupted `write_atomically` left.

    Raises:
        OSError: It cannot be read.
    """
    return all(entry.name.startswith(".") and entry.name.endswith(PARTIAL_SUFFIX) for entry in folder.iterdir())


def remove_quietly(path: Path) -> None:
    """Removes a file that nobody needs, if it exists and may be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder of that name, or no right to it: it is only in the way
        return


def _remove_abandoned(path: Path) -> None:
    """Removes what processes of this machine that no longer run have left of a file."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{_HOST}-*{PARTIAL_SUFFIX}"):
        number = leftover.name.removesuffix(PARTIAL_SUFFIX).rpartition("-")[2]
        if number.isdecimal() and not _runs(int(number)):
            remove_quietly(leftover)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it runs, and is another user's; or it is no number of a process
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Some network file systems refuse to flush a folder; the file itself has been flushed by then."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
