"""What a reader may not do while it reads a stranger's file, noticed by an audit hook."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

CANARY = "fuzz_canary"
"""No such module exists: whatever imports it does so because a file names it."""
SECRET = "secret.txt"  # noqa: S105  a file's name
"""A file beside the scratch folder, which links and paths out of it lead to."""

_FORBIDDEN = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile",
    "subprocess.Popen", "pty.spawn", "code.__new__", "ctypes.dlopen", "webbrowser.open", "socket.connect",
    "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request",
    "pickle.find_class", "ftplib.connect", "smtplib.connect", "marshal.loads", "sys.settrace", "sys.setprofile",
}  # fmt: skip
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
            "os.truncate", "shutil.move", "shutil.rmtree", "shutil.copyfile", "sqlite3.connect")  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """Collects what a reader did that it may not.

    Args:
        scratch: The one folder in which files may be written.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = str(scratch.resolve())
        self.allowed: frozenset[str] = frozenset()
        self.seen: list[str] = []
        self.watching = False

    def install(self) -> None:
        """Hooks it into the interpreter, for good."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        self.watching = False  # what the hook does itself is not the reader's doing
        try:
            said = self._fault(event, args)
            if said:
                self.seen.append(said[:200])
        finally:
            self.watching = True

    def _fault(self, event: str, args: tuple[Any, ...]) -> str | None:
        if event in _FORBIDDEN and event not in self.allowed and not _is_an_import():
            return f"{event} {args[:2]!r}"
        if event == "import" and str(args[0]).startswith(CANARY):
            return f"import of {args[0]}, which the file names"
        if event == "exec" and CANARY in (*args[0].co_names, *map(str, args[0].co_consts)):
            return "runs text of the file"
        if event == "open" and isinstance(args[0], (str, bytes)):
            path = os.path.realpath(os.fsdecode(args[0]))
            if os.path.basename(path) == SECRET:  # noqa: PTH119
                return f"opens {path}, which is not in its folder"
            return f"writes {path}" if (args[2] or 0) & _WRITES and not self._inside(path) else None
        if event in _CHANGES and isinstance(args[0], (str, bytes)) and not str(args[0]).startswith("file:"):
            path = os.path.realpath(os.fsdecode(args[0]))
            return None if self._inside(path) else f"{event} {path}"
        return None

    def _inside(self, path: str) -> bool:
        return path.startswith((self.scratch + os.sep, "/dev/null", "/proc/self/")) or path == self.scratch


def _is_an_import() -> bool:
    """Whether a library is being imported for the first time, which loads code of this installation."""
    frame = sys._getframe(2)  # noqa: SLF001
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
