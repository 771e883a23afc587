"""Reading members of a zip, by Python's `zipfile`."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees.archive import Member, clean_name
from sysu30k_bench.data.trees.pax import PAX_HEAD, is_pax_header, passed_over
from sysu30k_bench.errors import DataError
from sysu30k_bench.words import count

_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, struct.error)


class ZipIndex:
    """An `Index` of a zip, which brings its own; opened again in every process.

    Args:
        path: The zip.

    Raises:
        DataError: It is none, or its directory at the end is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        self._members: dict[str, tuple[str, Member]] = {}
        self._refused: list[str] = []
        self._passed_over = 0
        try:
            infos = self._open().infolist()
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error) as error:
            raise DataError(f"{path} is not a zip that can be read: {error}", hint="download it again") from error
        for info in infos:
            if info.filename and info.is_dir():
                continue
            key, fault = clean_name(info.filename.replace("\\", "/"))  # as archives made on Windows have it
            if info.flag_bits & 1:
                fault = "it is encrypted"
            elif info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                fault = "a compression that cannot be read piece by piece"
            if fault:
                self._refused.append(f"{key}: {fault}")
            elif is_pax_header(key, self._head, info):
                self._passed_over += 1
            else:
                self._members[key] = (info.filename, Member(info.header_offset, info.file_size))
        self._keys = sorted(self._members)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def find(self, key: str) -> Member | None:
        """See `Index`."""
        found = self._members.get(key)
        return None if found is None else found[1]

    def below(self, prefix: str, limit: int | None = None) -> Iterator[str]:
        """See `Index`."""
        first = bisect_left(self._keys, prefix)
        last = len(self._keys) if limit is None else first + limit
        yield from takewhile(lambda key: key.startswith(prefix), islice(self._keys, first, last))

    def roots(self, prefix: str = "") -> list[str]:
        """See `Index`."""
        parts = (key[len(prefix) :].partition("/") for key in self.below(prefix))
        return sorted({first + slash for first, slash, _ in parts})

    def complaints(self) -> list[str]:
        """See `Index`."""
        if not self._refused:
            return []
        refused = count(len(self._refused), "member is", "members are")
        return [f"{self.path.name}: {refused} refused (first: {self._refused[0]})"]

    def remarks(self) -> list[str]:
        """See `Index`."""
        return [f"{self.path.name}: {passed_over(self._passed_over)}"] if self._passed_over else []

    def read(self, key: str, member: Member) -> bytes:
        """See `Index`."""
        try:
            with self._open().open(self._members[key][0]) as file:
                # `ZipFile.read` inflates two gigabytes of a member that says it has few
                content = file.read(member.size)
        except _UNREADABLE as error:
            raise DamagedImageError(str(error) or type(error).__name__) from error
        if len(content) < member.size:
            raise DamagedImageError(f"it ends after {len(content):,} of {member.size:,} bytes")
        return content

    def _head(self, info: zipfile.ZipInfo) -> bytes:
        try:
            with self._open().open(info) as file:
                return file.read(PAX_HEAD)
        except _UNREADABLE:
            return b""

    def expect(self, members: Sequence[Member]) -> None:
        """See `Index`; a zip of these sizes is read soon enough."""

    def _open(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]
