"""The gallery as a search sees it: blocks of rows in order, a few rows by position, and a name for each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from sysu30k_bench.embeddings.store import Store


class Gallery(Protocol):
    """Rows to be searched."""

    def __len__(self) -> int:
        """How many rows there are."""

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (position of the first row, (b, D) embeddings) in order, b at most `rows`."""

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Returns the embeddings at some positions, (P, D)."""

    def name(self, position: int) -> str:
        """Returns the key of a row, for messages."""


class ArrayGallery:
    """A gallery that is an array in memory.

    Args:
        embeddings: (G, D) float32 or float16.
        keys: G keys, where there are any.
    """

    def __init__(self, embeddings: np.ndarray, keys: Sequence[str] | None = None) -> None:
        self._embeddings = embeddings
        self._keys = keys

    def __len__(self) -> int:
        return len(self._embeddings)

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """See `Gallery`."""
        for start in range(0, len(self), rows):
            yield start, self._embeddings[start : start + rows]

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """See `Gallery`."""
        rows: np.ndarray = self._embeddings[positions]
        return rows

    def name(self, position: int) -> str:
        """See `Gallery`."""
        return f"row {position}" if self._keys is None else self._keys[position]


class StoreGallery:
    """A gallery that is a store on the disk, streamed shard by shard.

    Args:
        store: The store.
        keys: The keys of its rows, in order.
    """

    def __init__(self, store: Store, keys: Sequence[str]) -> None:
        self._store = store
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """See `Gallery`."""
        start = 0
        for shard in self._store.shards():
            for first in range(0, len(shard.key), rows):
                block = shard.embedding[first : first + rows]
                yield start, block
                start += len(block)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """See `Gallery`."""
        return self._store.rows(positions)

    def name(self, position: int) -> str:
        """See `Gallery`."""
        return self._keys[position]
