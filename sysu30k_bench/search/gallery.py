"""The gallery as a search sees it: blocks of rows in order, a few rows by position, and a name for each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.processes import Ranks


class Gallery(Protocol):
    """Rows to be searched."""

    def __len__(self) -> int:
        """How many rows there are."""

    def blocks(self, rows: int, done: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (position of the first row, (b, D) embeddings) in order, b at most `rows`.

        A block is valid until the next is requested.

        Args:
            rows: Most rows of a block.
            done: Omit the rows before this position.
        """

    def share(self, done: int = 0) -> int:
        """How many rows `blocks` yields."""

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

    def blocks(self, rows: int, done: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """See `Gallery`."""
        for start in range(done, len(self), rows):
            yield start, self._embeddings[start : start + rows]

    def share(self, done: int = 0) -> int:
        """See `Gallery`."""
        return len(self) - done

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
        keys: The keys of its rows, in order, or their numbers.
        ranks: This process among those that share the shards; `blocks` yields its share.
    """

    def __init__(self, store: Store, keys: Sequence[str] | range, ranks: Ranks | None = None) -> None:
        ranks = ranks or Ranks()
        self._store = store
        self._keys = keys
        lengths = [entry.rows for entry in store.manifest.shards]
        starts = np.cumsum([0, *lengths]).tolist()
        self._mine = [(n, starts[n], lengths[n]) for n in range(ranks.rank, len(lengths), ranks.world)]

    def __len__(self) -> int:
        return len(self._keys)

    def blocks(self, rows: int, done: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """See `Gallery`."""
        wanted = [(number, start, length) for number, start, length in self._mine if start + length > done]
        shards = self._store.shards([number for number, _, _ in wanted], recycle=True)
        for shard, (_, start, length) in zip(shards, wanted, strict=True):
            for first in range(max(0, done - start), length, rows):
                yield start + first, shard.embedding[first : first + rows]

    def share(self, done: int = 0) -> int:
        """See `Gallery`."""
        return sum(length - min(length, max(0, done - start)) for _, start, length in self._mine)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """See `Gallery`."""
        return self._store.rows(positions)

    def name(self, position: int) -> str:
        """See `Gallery`."""
        return f"row {position}" if isinstance(self._keys, range) else self._keys[position]
