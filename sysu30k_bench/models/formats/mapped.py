"""A file as memory: read where it is touched, and never written."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import cast

import numpy as np
import torch

from sysu30k_bench.models.formats.faults import Damaged

ALIGNMENT = 64
"""Bytes: torch's own allocations, and the entries that it writes, begin at a multiple of it. Its loops count on numbers
that lie at a multiple of their size: of a complex number of 16 bytes elsewhere, the process dies."""


class MappedFile:
    """A file mapped copy-on-write: tensors over it may be changed, the file stays.

    Args:
        path: A file that is not empty.

    Attributes:
        bytes: The mapping, which is a file to read from, too.
        size: Its bytes.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self.size = len(self.bytes)
        self._storage: torch.UntypedStorage | None = None

    def storage(self, start: int, size: int, itemsize: int, *, swap: bool = False) -> torch.UntypedStorage:
        """Returns a part of the file as a storage.

        The part is copied where its place does not suit its numbers, or where their bytes are to be turned round.

        Args:
            start: Its first byte.
            size: Its bytes.
            itemsize: Bytes of one number.
            swap: Turn the bytes of every number round.

        Raises:
            Damaged: The part is not in the file.
        """
        if start < 0 or size < 0 or start + size > self.size:
            raise Damaged(f"it ends {start + size - self.size:,} bytes too early", cut=True)
        if size == 0:
            return torch.empty(0, dtype=torch.uint8).untyped_storage()
        if start % ALIGNMENT == 0 and not swap:
            if self._storage is None:
                self._storage = torch.frombuffer(self.bytes, dtype=torch.uint8).untyped_storage()
            return cast("torch.UntypedStorage", self._storage[start : start + size])
        return storage_of(memoryview(self.bytes)[start : start + size], itemsize if swap else 1)


def storage_of(content: bytes | memoryview, itemsize: int = 1) -> torch.UntypedStorage:
    """Copies bytes into a storage of their own.

    Args:
        content: The bytes.
        itemsize: Turn round each group of so many of them.

    Raises:
        Damaged: They are not a multiple of the groups.
    """
    if len(content) % itemsize:
        raise Damaged("a storage ends in the middle of a number")
    copied = np.frombuffer(content, np.uint8).copy()
    if itemsize > 1:
        copied = np.ascontiguousarray(copied.reshape(-1, itemsize)[:, ::-1]).reshape(-1)
    return torch.from_numpy(copied).untyped_storage()
