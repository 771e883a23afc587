"""Files written whole or not at all, and their digests."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from sysu30k_bench.errors import DataError

PARTIAL_SUFFIX = ".partial"
_CHUNK = 1 << 22


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and take the final name by a rename.

    Args:
        path: The final name. Its folder is made if need be.
        content: All of the file's bytes.
        private: Let nobody but this user read it.

    Raises:
        DataError: The disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if private:
                temporary.chmod(0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _remove_quietly(temporary)
        raise unwritable(path, error, len(content)) from error
    except BaseException:
        _remove_quietly(temporary)
        raise


def unwritable(path: Path, error: OSError, size: int | None = None) -> DataError:
    """Turns the system's refusal to write into an error that says what to do.

    Args:
        path: What was being written.
        error: What the system said.
        size: The bytes that were to be written, where known.
    """
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        wanted = f" ({size:,} bytes)" if size is not None else ""
        return DataError(
            f"the disk is full: could not write {path}{wanted}",
            hint="free some space or choose another --output; what is finished is kept, and the same command goes on",
        )
    return DataError(
        f"cannot write {path}: {error.strerror or error}",
        hint="choose an --output that this user may write",
    )


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_text(text: str) -> str:
    """Returns the SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def remove_partials(folder: Path) -> None:
    """Removes what an interrupted `write_atomically` left in a folder."""
    for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
        _remove_quietly(leftover)


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the error that led here is the one to report
        return


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
