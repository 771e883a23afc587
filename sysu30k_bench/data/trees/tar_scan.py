"""Reading a tar's headers from end to end, over damage, from any header on."""

from __future__ import annotations

import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sysu30k_bench.data.trees.archive import clean_name
from sysu30k_bench.data.trees.careful_tar import BLOCK, HostileTarError, careful_tar
from sysu30k_bench.data.trees.pax import PAX_HEAD, is_pax_header
from sysu30k_bench.errors import DataError

PASSED_OVER = "another program's header of a member"
"""Fault of an entry that is neither a member nor damage, and is counted."""

_LOOK_AHEAD = 1 << 20


class Found(NamedTuple):
    """A member, or a stretch without one.

    Attributes:
        key: The member's key; empty for damage.
        offset: Of its bytes, or of the damage.
        size: Bytes.
        target: The key of the member whose bytes these are, for a hard link.
        fault: Why it cannot be read, or what is wrong there.
        next: Where the next header starts.
    """

    key: str
    offset: int
    size: int
    target: str | None
    fault: str | None
    next: int


def scan(path: Path, start: int = 0) -> Iterator[Found]:
    """Goes through the headers of a tar.

    Python's `tarfile` reads every header. Where it stops before the end of the file at something that is neither a
    header nor the end mark, the scan continues at the next block that is a header, and the stretch between is damage.

    Args:
        path: The tar, uncompressed.
        start: Offset of a header to begin with.

    Yields:
        Regular files and hard links; members that are refused or passed over; damage.

    Raises:
        DataError: It is no tar.
    """
    length = path.stat().st_size
    if not length:
        raise DataError(f"{path} is empty", hint="download it again")
    if start >= length:  # an index was interrupted just before its last remark
        yield _without_end(length)
        return
    try:
        with path.open("rb") as file:
            at: int | None = start
            while at is not None and at < length:
                at = yield from _run(file, at, length, path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", hint="check the disk") from error


def check_tar(path: Path) -> None:
    """Reads the first header.

    Args:
        path: The tar, uncompressed.

    Raises:
        DataError: It is no tar.
    """
    next(scan(path), None)


def _run(file: BinaryIO, at: int, length: int, path: Path) -> Generator[Found, None, int | None]:
    """Continues until `tarfile` stops; returns where to begin again, or None at the end."""
    file.seek(at)
    stopped, beyond = at, 0
    try:
        with careful_tar(file) as tar:
            while (info := tar.next()) is not None:
                tar.__dict__["members"].clear()  # it would keep all of them in memory
                stopped = tar.offset
                found = _found(info, stopped, length)
                pax = found.fault is None and is_pax_header(found.key, _head, file, found)
                yield found._replace(fault=PASSED_OVER) if pax else found
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        # behind all that was read: to look into a chain of headers again from each of them would take its square
        beyond = file.tell() if isinstance(error, HostileTarError) else 0
        if stopped == 0:
            raise DataError(
                f"{path} is not a tar that can be read in place: {error}",
                hint="a compressed one must be decompressed first (`gunzip`); an interrupted download must be repeated",
            ) from error
    if stopped >= length:  # the last member reaches beyond the end, or the end mark is missing
        if stopped == length:
            yield _without_end(length)
        return None
    file.seek(stopped)
    block = file.read(BLOCK)
    zeros = len(block) == BLOCK and not any(block)
    again = _next_header(file, max(stopped + BLOCK, beyond - beyond % -BLOCK), length)
    if zeros and again is None:  # the end mark, and what pads it
        return None
    size = (length if again is None else again) - stopped
    fault = f"{size:,} bytes that are no tar header" if again else f"cut off: the last {size:,} bytes hold no header"
    if zeros:
        fault = f"zeros where a header should be: {size:,} bytes up to the next member"
    yield Found("", stopped, size, None, fault, stopped + size)
    return again


def _head(file: BinaryIO, found: Found) -> bytes:
    file.seek(found.offset)  # tarfile seeks before it reads the next header
    return file.read(min(found.size, PAX_HEAD))


def _without_end(length: int) -> Found:
    return Found("", length, 0, None, "the end mark is missing: the file may have been cut off here", length)


def _found(info: tarfile.TarInfo, following: int, length: int) -> Found:
    key, fault = clean_name(info.name) if not info.isdir() or info.name.strip("./") else ("", None)
    if info.islnk():
        target, bad = clean_name(info.linkname)
        return Found(key, 0, 0, target, fault or bad, following)
    if info.isdir():
        fault = fault or ""
    elif not info.isreg() or info.issparse():
        fault = fault or f"not a plain file (tar type {info.type.decode('ascii', 'replace')})"
    elif info.size < 0:
        fault = fault or "its size is below zero"
    elif info.offset_data + info.size > length:
        fault = f"cut off: {max(0, length - info.offset_data):,} of {info.size:,} bytes exist"
    return Found(key, info.offset_data, info.size, None, fault, following)


def _next_header(file: BinaryIO, start: int, length: int) -> int | None:
    at = start
    while at < length:
        file.seek(at)
        chunk = file.read(_LOOK_AHEAD)
        for place in range(0, len(chunk) - BLOCK + 1, BLOCK):
            block = chunk[place : place + BLOCK]
            if block[257:262] == b"ustar" and _is_header(block):
                return at + place
        at += max(len(chunk) - len(chunk) % BLOCK, BLOCK)
    return None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def first_names(path: Path, count: int) -> list[str]:
    """Returns the keys of a tar's first regular files, without indexing it; empty where it is no tar."""
    names: list[str] = []
    try:
        for found in scan(path):
            if found.fault is None:
                names.append(found.key)
            if len(names) >= count:
                break
    except (DataError, OSError):
        return []
    return names
