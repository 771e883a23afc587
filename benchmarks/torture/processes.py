"""Commands as forked processes that are killed, signalled, and whose system calls fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

_LONGEST = 60.0
_LOOK_SECONDS = 0.002
_TRACES = re.compile(r"Traceback \(most recent|internal error|Exception ignored|Segmentation fault|Fatal Python error")
CODES = {0, 1, 2, 3, 4, 130}
"""The exit codes of docs/reference.md, but for 70, an internal error."""
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Fault:
    """A failing system call (see faults.c).

    Attributes:
        root: Only calls below this folder count.
        nth: The call with which the fault begins; 0 records all calls instead.
        error: The error number.
        kinds: 1 writes, 2 reads, 4 locks, 8 new names only, 16 the clock; added.
        mode: 0 only this call, 1 all from it on, 2 the same, but the first write takes half of its bytes.
        jump: Seconds by which the clock is wrong from the nth look on.
    """

    root: Path
    nth: int = 0
    error: int = 0
    kinds: int = 1
    mode: int = 0
    jump: int = 0

    def code(self, library: Path, log: Path) -> str:
        """Returns the Python that arms the fault in the command's process."""
        values = (bytes(self.root), self.nth, self.error, self.kinds, self.mode, bytes(log))
        return (
            "import ctypes, os, posix; os.fsync = posix.fsync; "
            f"ctypes.CDLL({str(library)!r}).torture_arm(*{values!r}, ctypes.c_long({self.jump}))"
        )


@dataclass
class End:
    """How a command ended.

    Attributes:
        code: Its exit code; negative where a signal ended it.
        out: What it printed.
        err: Its messages.
        seconds: How long it ran.
        hung: Whether it had to be killed because it did not end.
        calls: The calls that failed, or those that were recorded: name and path.
    """

    code: int
    out: str
    err: str
    seconds: float
    hung: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)

    def fault(self) -> str | None:
        """Says what no ending may be: a hang, a traceback, an exit code that is documented nowhere, no message."""
        if self.hung:
            return f"did not end within {_LONGEST:.0f} s"
        if found := _TRACES.search(self.err + self.out):
            return f"printed {found[0]!r}"
        if self.code not in CODES and self.code != KILLED:
            return f"ended with {self.code}, which is documented nowhere"
        if self.code in {2, 3, 4, 130} and "error: " not in self.err.lower():
            return f"ended with {self.code} and no message"
        return None


class Running:
    """A command that runs."""

    def __init__(self, shell: Shell, pid: int, streams: Path) -> None:
        self.pid = pid
        self._shell = shell
        self._streams = streams
        self._began = time.monotonic()

    def runs(self) -> bool:
        """Returns whether it has not ended."""
        return not re.search(r"\) [ZX] ", Path(f"/proc/{self.pid}/stat").read_text())

    def heeds(self) -> bool:
        """Returns whether it answers SIGTERM, which the tool does as its first act, and Python alone does not."""
        found = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        return found is not None and bool(int(found[1], 16) & (1 << (signal.SIGTERM - 1)))

    def children(self) -> list[int]:
        """Returns the processes that it started."""
        return [int(one) for one in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def signal(self, number: int, *, group: bool = False) -> None:
        """Sends a signal to the process, or to its whole group."""
        (os.killpg if group else os.kill)(self.pid, number)

    def sleep(self, seconds: float) -> bool:
        """Waits, but not longer than the command runs; returns whether it still runs."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if left > _LOOK_SECONDS and not self.runs():
                return False
            time.sleep(min(left, _LOOK_SECONDS))
        return self.runs()

    def wait(self, longest: float = _LONGEST) -> End:
        """Waits for its end; kills it, and whatever it started, where it does not end."""
        hung = self.sleep(longest)
        if hung:
            self.signal(signal.SIGKILL)
        seconds = time.monotonic() - self._began
        [code] = self._shell.ask(wait=[self.pid])
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # workers that outlived it
        out, err, log = (self._read(name) for name in ("out", "err", "calls"))
        calls = [(call, path) for call, _, path in (line.partition(" ") for line in log.splitlines())]
        return End(code, out, err, seconds, hung, calls)

    def _read(self, name: str) -> str:
        """A stream; nothing where the process was killed before it had opened it."""
        path = self._streams / name
        return path.read_text(errors="replace") if path.is_file() else ""


class Shell:
    """Starts commands from one process that has imported everything (`tests.zygote`), in the folder `work`."""

    def __init__(self, room: Path, zygote: subprocess.Popen[str] | None = None) -> None:
        self.work = room / "work"
        self._streams = room / "streams"
        self._streams.mkdir(parents=True, exist_ok=True)
        self.library = build_library(room)
        home = {"HOME": str(room), "MPLCONFIGDIR": str(room), "XDG_CACHE_HOME": str(self.work / ".cache")}
        self._env = {**os.environ, **home, "OMP_NUM_THREADS": "1"}
        self._zygote = zygote or self._start()

    def _start(self) -> subprocess.Popen[str]:
        preload = {"LD_PRELOAD": str(self.library)} if self.library else {}
        command = [sys.executable, "-m", "tests.zygote"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=self._env | preload)  # noqa: S603

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zygote.kill()
        self._zygote.wait()

    def ask(self, **order: object) -> list[int]:
        """Sends an order, and returns its answer."""
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        answer: list[int] = json.loads(self._zygote.stdout.readline())
        return answer

    def begin(self, words: tuple[str, ...], *, fault: Fault | None = None, before: str = "") -> Running:
        """Starts a command in the folder `work`, in a process group of its own."""
        shutil.rmtree(self._streams)
        self._streams.mkdir()
        if fault is not None:
            assert self.library is not None
            before = f"{fault.code(self.library, self._streams / 'calls')}\n{before}"
        order = {"args": list(words), "cwd": str(self.work), "env": self._env, "before": before}
        streams = {name: str(self._streams / name) for name in ("out", "err")}
        [pid] = self.ask(**order, **streams, background=True, own_group=True)
        return Running(self, pid, self._streams)

    def run(self, words: tuple[str, ...], *, fault: Fault | None = None, before: str = "") -> End:
        """Runs a command to its end."""
        return self.begin(words, fault=fault, before=before).wait()


def build_library(room: Path) -> Path | None:
    """Compiles faults.c; None where there is no C compiler, or the system is not Linux."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    library = room / "faults.so"
    source = Path(__file__).with_name("faults.c")
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)  # noqa: S603  the project's own source
    return library
