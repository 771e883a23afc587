"""Progress in plain lines, for notebooks and logs."""

from __future__ import annotations

import time
from typing import TextIO

_SECONDS_BETWEEN_LINES = 5.0


class Lines:
    """Writes a line now and then.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._title, self._unit, self._total, self._done = "", "", 0, 0
        self._began = self._wrote = time.monotonic()

    def begin(self, title: str, total: int, unit: str) -> None:
        """See `Progress`."""
        self._title, self._unit, self._total, self._done = title, unit, total, 0
        self._began = self._wrote = time.monotonic()
        if total:
            self.say(f"{title}: {total:,} {unit}")

    def advance(self, count: int) -> None:
        """See `Progress`."""
        self._done += count
        now = time.monotonic()
        if now - self._wrote > _SECONDS_BETWEEN_LINES:
            self._wrote = now
            speed = self._done / (now - self._began)
            self.say(f"{self._title}: {self._done:,} of {self._total:,} {self._unit}, {speed:,.1f} {self._unit}/s")

    def end(self) -> None:
        """See `Progress`."""

    def say(self, message: str) -> None:
        """See `Progress`."""
        self._stream.write(f"{message}\n")
        self._stream.flush()
