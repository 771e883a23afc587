"""One input through its target: read, refused with a clear message, or a violation."""

from __future__ import annotations

import resource
import shutil
import signal
import time
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from benchmarks.fuzz.guard import Guard
from benchmarks.fuzz.target import Target, Violation
from sysu30k_bench.errors import BenchError

ADDRESS_SPACE = 4 << 30
"""Beyond what the imports take."""
_LONGEST_MESSAGE = 20_000
_FILE_BYTES = 1 << 30


class Verdict(NamedTuple):
    """What became of an input.

    Attributes:
        outcome: `read`, `refused`, or the kind of violation: `acts`, `traceback`, `time`, `memory`, `message`, `lies`.
        said: The message.
        seconds: Processor time.
    """

    outcome: str
    said: str
    seconds: float

    @property
    def is_violation(self) -> bool:
        """Whether the reader broke a promise."""
        return self.outcome not in {"read", "refused"}


class _TooSlow(BaseException):
    """No reader catches it by catching `Exception`."""


def _alarm(_: int, __: FrameType | None) -> None:
    raise _TooSlow


class Judge:
    """Runs inputs in this process, under its limits.

    Args:
        scratch: A folder of this process alone.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.guard = Guard(scratch)
        self.guard.install()
        self.base = _peak()
        signal.signal(signal.SIGPROF, _alarm)

    def limit(self) -> None:
        """Limits memory to 4 GiB above what is in use: called once everything is imported."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.base = _peak()

    def __call__(self, target: Target, content: bytes) -> Verdict:
        """Reads one input."""
        folder = self.scratch / "inbox"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path = target.place(folder, content)
        guard, peak = self.guard, _peak()
        guard.allowed, guard.seen = target.allowed, []
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, target.seconds)
        guard.watching = True
        try:
            target.read(path)
            outcome, said = "read", ""
        except BaseException as error:  # noqa: BLE001  whatever it is, it is what this looks for
            outcome, said = _outcome(target, error)
        finally:
            guard.watching = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = time.process_time() - started
        if guard.seen:
            outcome, said = "acts", "; ".join(guard.seen[:5])
        elif _peak() > max(peak, self.base + (target.growth << 10)) and outcome in {"read", "refused"}:
            outcome, said = "memory", f"{(_peak() - self.base) >> 10:,} MiB"
        return Verdict(outcome, said, seconds)


def _peak() -> int:
    """The most memory that this program has had so far, in KiB; `getrusage` counts its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status[status.index("VmHWM:") + 6 :].split(None, 1)[0])


def _outcome(target: Target, error: BaseException) -> tuple[str, str]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (MemoryError, _TooSlow)):
            return ("time", "") if isinstance(cause, _TooSlow) else ("memory", f"{type(error).__name__}: {error}")
        cause = cause.__cause__ or cause.__context__
    said = f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
    if isinstance(error, Violation):
        return "lies", said
    if not isinstance(error, (BenchError, *target.refusals)):
        return "traceback", said
    if isinstance(error, BenchError) and not _is_clear(error):
        return "message", repr(said)
    return "refused", said


def _is_clear(error: BenchError) -> bool:
    text = str(error)
    return bool(error.message.strip()) and len(text) < _LONGEST_MESSAGE and text.replace("\n", "").isprintable()
