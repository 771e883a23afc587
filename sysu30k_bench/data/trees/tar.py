"""Reading members of a tar by their offsets."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees.archive import Member
from sysu30k_bench.data.trees.pax import passed_over
from sysu30k_bench.data.trees.tar_index import connect
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.words import count

_PAGE = 50_000


class Fault(NamedTuple):
    """Something in a tar that cannot be read."""

    key: str
    offset: int
    size: int
    reason: str

    def __str__(self) -> str:
        return f"{self.key or f'at byte {self.offset:,}'}: {self.reason}"


class TarIndex:
    """An `Index` of a tar; opened again in every process.

    Args:
        path: The tar.
        index: Its finished index.
    """

    def __init__(self, path: Path, index: Path) -> None:
        self.path = path
        self._index = index
        self._opened: tuple[int, sqlite3.Connection, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_index": self._index, "_opened": None}

    def find(self, key: str) -> Member | None:
        """See `Index`."""
        rows = self._rows("select offset, size from member where key = ?", key)
        return Member(*rows[0]) if rows else None

    def below(self, prefix: str, limit: int | None = None) -> Iterator[str]:
        """See `Index`."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else chr(0x10FFFF)
        with self._named():
            rows = self._open()[0].execute(
                "select key from member where key >= ? and key < ? limit ?", (prefix, end, limit or -1)
            )
            while page := rows.fetchmany(_PAGE):
                for (key,) in page:
                    yield key

    def roots(self, prefix: str = "") -> list[str]:
        """See `Index`; one look-up for each."""
        found: list[str] = []
        after = prefix
        while rows := self._rows("select key from member where key >= ? limit 1", after):
            if not rows[0][0].startswith(prefix):
                break
            first, slash, _ = rows[0][0][len(prefix) :].partition("/")
            found.append(first + slash)
            after = prefix + first + (chr(ord("/") + 1) if slash else "\0")
        return found

    def count(self) -> int:
        """Returns how many members there are."""
        return int(self._rows("select count(*) from member")[0][0])

    def passed_over(self) -> int:
        """Returns how many entries are no members, but another program's headers of members."""
        return int(self._rows("select value from state where name = 'passed_over'")[0][0])

    def faults(self) -> list[Fault]:
        """Returns everything that cannot be read."""
        return [Fault(*row) for row in self._rows("select key, offset, size, reason from fault order by offset, key")]

    def complaints(self) -> list[str]:
        """See `Index`."""
        faults = self.faults()
        if not faults:
            return []
        return [f"{self.path.name}: {count(len(faults), 'place')} cannot be read (first: {faults[0]})"]

    def remarks(self) -> list[str]:
        """See `Index`."""
        count = self.passed_over()
        return [f"{self.path.name}: {passed_over(count)}"] if count else []

    def read(self, key: str, member: Member) -> bytes:  # noqa: ARG002
        """See `Index`."""
        try:
            content = os.pread(self._open()[1], member.size, member.offset)
        except OSError as error:
            raise DamagedImageError(error.strerror or str(error)) from error
        if len(content) < member.size:
            raise DamagedImageError(f"{self.path.name} is cut off: {len(content):,} of {member.size:,} bytes exist")
        return content

    def expect(self, members: Sequence[Member]) -> None:
        """See `Index`."""
        if not hasattr(os, "posix_fadvise"):
            return
        file = self._open()[1]
        for member in sorted(members):
            os.posix_fadvise(file, member.offset, member.size, os.POSIX_FADV_WILLNEED)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._named():
            return self._open()[0].execute(query, values).fetchall()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """The index was whole when it was opened: what is wrong with it now happened since."""
        try:
            yield
        except sqlite3.Error as error:
            raise IntegrityError(
                f"{self._index} was damaged or removed while it was in use: {error}",
                hint="run the same command again: it rebuilds the index",
            ) from error

    def _open(self) -> tuple[sqlite3.Connection, int]:
        """Opens index and tar; a forked child must not share its parent's connection."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), connect(self._index), os.open(self.path, os.O_RDONLY))
        return self._opened[1:]
