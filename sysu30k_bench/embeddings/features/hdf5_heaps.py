"""The heaps in which HDF5 keeps texts of any length: a damaged one makes its library loop for ever, deaf to signals."""

from __future__ import annotations

import mmap
from pathlib import Path

_MARK = b"GCOL\x01\0\0\0"
_HEADER, _OBJECT = 16, 16
_WINDOW = 64 << 20
"""Bytes looked at together; a multiple of every page's size."""


def check_heaps(path: Path) -> None:
    """Walks over the objects of every global heap, as HDF5's library does, and refuses a step that leads nowhere.

    Layout: the HDF5 file format specification 3.0, III.E, with lengths of eight bytes.

    Raises:
        ValueError: An object has no size, or reaches beyond its heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start in range(0, len(content), _WINDOW):
            end = min(start + _WINDOW, len(content))
            at = content.find(_MARK, start, end + len(_MARK) - 1)
            while at >= 0:
                _walk(content, at)
                at = content.find(_MARK, at + 1, end + len(_MARK) - 1)
            content.madvise(mmap.MADV_DONTNEED, start, end - start)  # else all of it counts as memory of ours


def _walk(content: mmap.mmap, at: int) -> None:
    end = at + int.from_bytes(content[at + 8 : at + _HEADER], "little")
    place = at + _HEADER
    while place + _OBJECT <= min(end, len(content)):
        size = int.from_bytes(content[place + 8 : place + _OBJECT], "little")
        free = content[place : place + 2] == b"\0\0"
        step = size if free else _OBJECT + size + -size % 8
        if step < _OBJECT or place + step > end:
            raise ValueError(f"the heap of texts at byte {at:,} is damaged")
        place += step
