"""What a search has done so far, on the disk: an interrupted search resumes."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np

from sysu30k_bench.files import remove_quietly, write_atomically
from sysu30k_bench.sealed import seal_zip
from sysu30k_bench.search.exact.state_file import is_count, is_top, read_arrays
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

    def resume(self, above: np.ndarray, tied: np.ndarray, top: TopK, rows: int) -> int:
        """Fills counts and top-k from the file, if there is a whole one of their shapes, with a digest that fits.

        Args:
            above: Is filled.
            tied: Is filled.
            top: Is filled; empty until then.
            rows: Of the gallery: no count and no position can be more.

        Returns:
            The gallery position from which to resume; 0 where nothing was saved.
        """
        if self._path is None:
            return 0
        arrays = read_arrays(self._path, ("above", "tied", "position", "score", "done"))
        if arrays is None:
            return 0
        *counts, position, score, done = arrays
        if not is_count(done, rows) or not is_top(position, score, (top.position, top.score), rows):
            return 0
        for part, own in zip(counts, (above, tied), strict=True):
            if (part.shape, part.dtype) != (own.shape, own.dtype) or (part < 0).any() or (part > rows).any():
                return 0
        above[:], tied[:] = counts
        query, place = np.nonzero(position >= 0)
        if len(query):
            top.offer(query, position[query, place], score[query, place])
        return int(done)

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
