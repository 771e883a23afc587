"""Ctrl-C and SIGTERM, put off until a step is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from sysu30k_bench.interrupts import INTERRUPTS, SIGNALS


class Interruption:
    """Takes note of the first signal; the second one interrupts at once, if it is not the first one's echo.

    Attributes:
        asked: Whether one came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            heard = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
            self._before = {one: signal.signal(one, self._note) for one in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  a handler's signature
        if not INTERRUPTS.note() and self.asked:
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
