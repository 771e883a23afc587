"""Ctrl-C and SIGTERM: from the first moment to the last one clean message and one exit code.

While modules are loaded there is nothing to tidy up, and an exception that is raised inside an import may be swallowed
or turned into another: the process leaves at once. While a command works, the first signal raises KeyboardInterrupt,
so that half-written files go; whatever fails after that is the interruption's doing. Batch systems signal a whole
process group, often twice: a second signal within a second is taken for the first, a later one leaves at once.

Nothing is imported here but what the interpreter has at hand: the less, the earlier a signal is answered.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130
MESSAGE = "interrupted; what is finished is kept, and the same command resumes"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME_SECONDS = 1.0
_SOON_SECONDS = 0.05
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """What the signals of a command line do.

    Attributes:
        asked: Whether one came.
        message: What the user is told: how the command resumes.
    """

    def __init__(self) -> None:
        self.asked = False
        self.message = MESSAGE
        self._told = False
        self._at_once = True
        self._owner = -1
        self._came = 0.0
        self._lost = False
        self._number: int = signal.SIGINT

    def take(self) -> None:
        """Answers the signals from now on, at once; those that whoever started this process ignores stay ignored."""
        self._owner = os.getpid()
        self.asked = self._told = False
        self.message = MESSAGE
        self._at_once = True
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._answer)
        sys.unraisablehook = self._unraisable

    @contextmanager
    def working(self) -> Iterator[None]:
        """Raises KeyboardInterrupt on a signal, so that work is left tidily."""
        before, self._at_once = self._at_once, False
        try:
            yield
        finally:
            self._at_once = before

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Leaves at once on a signal: nothing is in hand but imports. Without `take` it does nothing."""
        before, self._at_once = self._at_once, True
        try:
            yield
        finally:
            self._at_once = before

    def note(self) -> bool:
        """Notes a signal, and returns whether it differs from the last."""
        now = time.monotonic()
        another = not self.asked or now - self._came > SAME_SECONDS
        if another:
            self._came = now
        self.asked = True
        return another

    def told(self) -> None:
        """The user has been told: nothing more is said, and a further signal leaves at once."""
        self._told = self._at_once = True

    def leave_tidily(self, code: int) -> NoReturn:
        """Leaves with an exit code, without taking every object apart, which takes the interpreter seconds."""
        with suppress(BaseException):
            atexit._run_exitfuncs()  # noqa: SLF001  as the interpreter would
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    def _answer(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  a handler's signature
        if os.getpid() != self._owner:
            os._exit(0)  # a decoding process before it has begun; its parent has the same signal
        lost, self._lost, again = self._lost, False, self.asked
        if not self.note() and not lost:
            return
        if self._at_once or (again and not lost):
            self._leave()
        self._number = number
        # decoding processes die of the same signal, which torch would report as a fault of its own
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise KeyboardInterrupt

    def _leave(self) -> None:
        if not self._told:
            tidy = _SHOW_CURSOR if os.isatty(2) else b""
            with suppress(OSError):  # of a stderr that is full or closed
                os.write(2, tidy + f"error: {self.message}\n".encode())
        os._exit(INTERRUPTED)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Brings back an interruption that Python would print and forget, because it struck inside a destructor.

        It cannot be raised here, where it would be lost again: a signal a moment later finds other code at work.
        """
        if isinstance(lost.exc_value, KeyboardInterrupt) and self.asked:
            import threading

            self._lost = True
            main = threading.main_thread().ident or 0
            threading.Timer(_SOON_SECONDS, signal.pthread_kill, (main, self._number)).start()
        elif not self.asked:
            sys.__unraisablehook__(lost)


INTERRUPTS = Interrupts()
"""Of this process's command line."""


@contextmanager
def put_off() -> Iterator[None]:
    """Puts signals off while processes are started, which inherit that until they have chosen for themselves."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(worker: int) -> None:  # noqa: ARG001  the signature of a loader's worker_init_fn
    """Lets a decoding process outlive signals to the whole group: its parent, which gets them too, ends it in order."""
    import threading
    from multiprocessing.queues import Queue

    fault = getattr(Queue, "_on_queue_feeder_error", None)  # private: another Python may have no such method

    def tell(error: Exception, item: object) -> None:
        if fault is not None and not isinstance(error, BrokenPipeError):  # it prints a traceback
            fault(error, item)  # but of a pipe: nobody waits any more for what this process has decoded

    if fault is not None:
        Queue._on_queue_feeder_error = staticmethod(tell)  # type: ignore[attr-defined]  # noqa: SLF001
    printed = sys.excepthook

    def tell_more(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, (ConnectionError, EOFError)):  # of a parent that has left
            printed(kind, error, trace)

    sys.excepthook = tell_more
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):  # macOS cannot tell who sent a signal
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_await_parent, args=(os.getppid(),), daemon=True).start()


def _await_parent(parent: int) -> None:
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == parent:
            os._exit(0)
