"""What stderr does not take must not end the work: a full disk under a log, a pipe that nobody reads any more."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer


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


def take_streams() -> None:
    """Makes stderr lossy, stdout write escapes for letters that it lacks, and gives a process that has none both.

    A closed stream is not only missing: its number goes to the next file that is opened, into which libraries would
    print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or _stream(io.FileIO(1, "w", closefd=False), None)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr = _stream(LossyFile(2, "w", closefd=False), sys.stderr)


def _stream(file: io.FileIO, like: TextIO | None) -> TextIO:
    encoding, errors = ("utf-8", "backslashreplace") if like is None else (like.encoding, like.errors)
    return io.TextIOWrapper(io.BufferedWriter(file), encoding=encoding, errors=errors, line_buffering=True)
