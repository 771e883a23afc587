"""Pillow's warnings about odd files, silenced for threads that decode at once.

`warnings.catch_warnings` keeps and restores the filters of the whole process: where two threads enter and leave it one
after the other, the filters of the first stay for good.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image


class _Shared:
    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._kept = warnings.catch_warnings()
                self._kept.__enter__()
                warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._kept.__exit__(None, None, None)


_SHARED = _Shared()
os.register_at_fork(after_in_child=_SHARED.begin)


@contextmanager
def pillow_is_quiet() -> Iterator[None]:
    """Ignores what Pillow warns of. The first thread to enter sets the filters, the last to leave restores them."""
    _SHARED.enter()
    try:
        yield
    finally:
        _SHARED.leave()
