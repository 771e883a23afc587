"""Python's `tarfile` on a stranger's tar: it would read gigabytes, recurse, go in circles and match for hours.

`tarfile` believes what an extended header says of its own size, calls itself for each of them, goes back where a size
is negative, and looks into them with regular expressions that take the square of what they read.
"""

from __future__ import annotations

import re
import tarfile
from typing import Any, BinaryIO

BLOCK = 512
_MOST_HEADER = 1 << 20
"""Bytes of an extended header; a path and its attributes take some hundred."""
_MOST_IN_A_ROW, _MOST_RECORDS = 16, 1000
_DIGITS = re.compile(rb"[0-9]{256}")
_LENGTH = re.compile(rb"([0-9]{1,8}) ")


class HostileTarError(tarfile.ReadError):
    """A header that no program writes."""


def careful_tar(file: BinaryIO) -> tarfile.TarFile:
    """Opens a tar, from a file's position on, whose headers take time and memory in proportion to their bytes.

    `next` of what is returned raises `HostileTarError`, or whatever else `tarfile` raises.

    Args:
        file: An uncompressed tar.
    """
    source: Any = _Headers(file)
    return tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape", tarinfo=_Info)


class _Headers:
    """A file whose extended headers are looked at before `tarfile` gets them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._kind = b""
        self.seek, self.tell = file.seek, file.tell
        self.depth = 0

    def read(self, size: int) -> bytes:
        if size > _MOST_HEADER:
            raise HostileTarError(f"a header claims {size:,} bytes")
        content = self._file.read(size)
        if size > 1:
            if self._kind in {b"x", b"g", b"X"}:
                _check_records(content)
                self._kind = b""
            else:
                self._kind = content[156:157] if size == BLOCK else b""
        return content


class _Info(tarfile.TarInfo):
    """A member, behind a few extended headers at most, and behind the one before."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _Info:
        source, start = tarfile.fileobj, tarfile.offset
        if not isinstance(source, _Headers):
            raise TypeError("a member of a tar that was not opened by `careful_tar`")
        if source.depth > _MOST_IN_A_ROW:
            raise HostileTarError(f"more than {_MOST_IN_A_ROW} headers in a row belong to one member")
        source.depth += 1
        try:
            found = super().fromtarfile(tarfile)
        finally:
            source.depth -= 1
        if tarfile.offset <= start:
            raise HostileTarError("a header leads back to itself")
        return found


def _check_records(content: bytes) -> None:
    if _DIGITS.search(content):
        raise HostileTarError("an extended header holds hundreds of digits in a row")
    at = 0
    for _ in range(_MOST_RECORDS):
        length = _LENGTH.match(content, at)
        if length is None:
            return
        end = at + int(length[1])
        if content.find(b"=", length.end(), end) < 0 or end > len(content):
            raise HostileTarError("a record of an extended header is malformed")
        at = end
    raise HostileTarError(f"an extended header holds more than {_MOST_RECORDS:,} records")
