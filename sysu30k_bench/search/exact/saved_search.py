"""What a search has done so far, on the disk: an interrupted search resumes."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np

from sysu30k_bench.files import remove_quietly, write_atomically
from sysu30k_bench.sealed import is_sealed, seal_zip
from sysu30k_bench.search.exact.topk import TopK


class Kept:
    """The state of a search, written now and then.

    Args:
        path: The file; None keeps nothing.
        every: Seconds between two writings.
    """

    def __init__(self, path: Path | None, every: float) -> None:
        self._path = path
        self._every = every
        self._written = time.monotonic()

    def resume(self, above: np.ndarray, tied: np.ndarray, top: TopK) -> int:
        """Fills counts and top-k from the file, if there is a whole one of their shapes, with a digest that fits.

        Returns:
            The gallery position from which to resume; 0 where nothing was saved.
        """
        if self._path is None or not is_sealed(self._path):
            return 0
        try:
            with np.load(self._path, allow_pickle=False) as state:
                parts = [state[name] for name in ("above", "tied", "position", "score")]
                done = int(state["done"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return 0
        wanted = [above, tied, top.position, top.score]
        if any((part.shape, part.dtype) != (own.shape, own.dtype) for part, own in zip(parts, wanted, strict=True)):
            return 0
        above[:], tied[:] = parts[0], parts[1]
        query, place = np.nonzero(parts[2] >= 0)
        if len(query):
            top.offer(query, parts[2][query, place], parts[3][query, place])
        return done

    def note(self, done: int, above: np.ndarray, tied: np.ndarray, top: TopK) -> None:
        """Writes the state, where the last writing is long enough ago."""
        if self._path is None or time.monotonic() - self._written < self._every:
            return
        content = io.BytesIO()
        np.savez(content, done=done, above=above, tied=tied, position=top.position, score=top.score)
        write_atomically(self._path, seal_zip(content))
        self._written = time.monotonic()

    def forget(self) -> None:
        """Removes the file."""
        if self._path is not None:
            remove_quietly(self._path)
