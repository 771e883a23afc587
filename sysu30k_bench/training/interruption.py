"""Ctrl-C and SIGTERM, put off until a step is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Takes note of the first signal; the second one interrupts at once.

    Attributes:
        asked: Whether one came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: list[signal._HANDLER] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = [signal.signal(one, self._note) for one in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in zip(_SIGNALS, self._before, strict=False):
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  a handler's signature
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
