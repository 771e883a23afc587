"""The standard streams of the command: what cannot be written must neither end the work nor go unnoticed.

Messages to stderr are lost where it takes none (a full disk under a log, a pipe that nobody reads any more). Results on
stdout are not: whoever cannot have them is told so.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from sysu30k_bench.errors import UnwritableError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ESCAPES = "sysu30k-bench-escapes"


class StdoutClosed(Exception):  # noqa: N818  a state, and no OSError, which click would take for its own
    """Whoever read the results has left, as `head` does."""


class LossyFile(io.FileIO):
    """A file whose failing writes are lost."""

    def write(self, data: Buffer) -> int:
        """See `io.FileIO`; never fails."""
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            return size
        return size if written is None else written  # None: it would have to wait


class ResultFile(io.FileIO):
    """A file for results: it waits for a slow reader, and says what is wrong once.

    After that writes are lost, so that the interpreter does not fail on them when it ends.
    """

    _failed = False

    def write(self, data: Buffer) -> int:
        """See `io.FileIO`.

        Raises:
            StdoutClosed: Nobody reads it any more.
            UnwritableError: It cannot be written.
        """
        if self._failed:
            return memoryview(data).nbytes
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self._failed = True
            if isinstance(error, BrokenPipeError):
                raise StdoutClosed from error
            raise UnwritableError(
                f"stdout cannot be written: {error.strerror or error}",
                hint="free some space, or send the results elsewhere; files that were written are kept",
            ) from error
        return written


def take_streams() -> None:
    """Puts streams of this kind in place, also where the process was started without one.

    A closed stream is not only missing: its number goes to the next file that is opened, into which libraries would
    print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    codecs.register_error(_ESCAPES, _escape)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _stream(ResultFile(1, "w", closefd=False), sys.stdout, _ESCAPES)
    sys.stderr = _stream(LossyFile(2, "w", closefd=False), sys.stderr, "backslashreplace")


def _stream(file: io.FileIO, before: TextIO | None, errors: str) -> TextIO:
    encoding = "utf-8" if before is None else before.encoding
    by_line = errors != _ESCAPES or file.isatty()
    return io.TextIOWrapper(io.BufferedWriter(file), encoding=encoding, errors=errors, line_buffering=by_line)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Writes letters that an encoding lacks as JSON does, which stays JSON, and which people can read, too."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(json.dumps(letter)[1:-1] for letter in letters), error.end
