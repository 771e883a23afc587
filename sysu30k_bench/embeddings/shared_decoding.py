"""One pass over images for several networks: each image is read and decoded once, and resized once for each size."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode_whole, resized
from sysu30k_bench.embeddings.loading import Batch, in_workers, workers_for
from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.card import Input

_CHUNK = 64
Size = tuple[int, int, str]
"""Height, width, interpolation."""


@dataclass(frozen=True)
class _Chunk:
    """Some images, decoded.

    Attributes:
        images: By size and position, (3, H, W) uint8.
        damaged: Reasons, by position.
    """

    images: dict[Size, dict[int, np.ndarray]]
    damaged: dict[int, str]


class _Chunks(Dataset[_Chunk]):
    def __init__(
        self, source: ImageSource, keys: Sequence[str], chunks: Sequence[Sequence[int]], sizes: Sequence[Size]
    ) -> None:
        self._source = source
        self._keys = keys
        self._chunks = chunks
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, index: int) -> _Chunk:
        images: dict[Size, dict[int, np.ndarray]] = {size: {} for size in self._sizes}
        damaged = {}
        for position in self._chunks[index]:
            try:
                whole = decode_whole(self._source.read(self._keys[position]))
            except DamagedImageError as error:
                damaged[position] = str(error)
                continue
            for size in self._sizes:
                images[size][position] = resized(whole, *size)
        return _Chunk(images, damaged)


class SharedDecoding:
    """Decodes, in order, every image that some network has to embed, and holds it until all have had it.

    Args:
        source: Where the images' bytes are.
        keys: The keys of the whole split.
        wanted: The batches of each network, as positions, in order.
        inputs: What each network sees.
        workers: Processes that decode; None lets the number of images and cores decide.
        gpu: The batches go to a GPU: they come in pinned memory.
    """

    def __init__(
        self,
        source: ImageSource,
        keys: Sequence[str],
        wanted: Sequence[Sequence[range]],
        inputs: Sequence[Input],
        *,
        workers: int | None,
        gpu: bool,
    ) -> None:
        sizes = [size_of(one) for one in inputs]
        positions = sorted({position for batches in wanted for batch in batches for position in batch})
        chunks = [positions[start : start + _CHUNK] for start in range(0, len(positions), _CHUNK)]
        self.images = len(positions)
        self.seconds = 0.0
        self._held: dict[Size, dict[int, np.ndarray]] = {size: {} for size in sizes}
        self._damaged: dict[int, str] = {}
        self._users = Counter(
            (size, position)
            for size, batches in zip(sizes, wanted, strict=True)
            for batch in batches
            for position in batch
        )
        self._left = iter(chunks)
        self._reached = -1
        self._broken: BenchError | None = None
        self._positions = positions
        processes = workers_for(len(positions), workers, gpu=gpu)
        self._decoded = in_workers(_Chunks(source, keys, chunks, sorted(set(sizes))), processes, gpu=False)
        self.shares = [Share(self, size, batches, gpu=gpu) for size, batches in zip(sizes, wanted, strict=True)]

    @property
    def complete(self) -> int:
        """Images that no network needs any more."""
        behind = [share.next_position for share in self.shares if share.next_position >= 0]
        return bisect_left(self._positions, min(behind)) if behind else self.images

    def take(self, size: Size, batch: range) -> Batch:
        """Returns a batch as one network's own decoding would have made it."""
        self._reach(batch[-1])
        held, positions, images = self._held[size], [], []
        for position in batch:
            if position not in self._damaged:
                positions.append(position)
                images.append(held[position])
            self.forget(size, position)
        stacked = np.stack(images) if images else np.empty((0, 3, size[0], size[1]), np.uint8)
        damaged = {position: self._damaged[position] for position in batch if position in self._damaged}
        return Batch(positions, torch.from_numpy(stacked), damaged)

    def forget(self, size: Size, position: int) -> None:
        """Is told that one network needs an image no longer."""
        self._users[size, position] -= 1
        if not self._users[size, position]:
            self._held[size].pop(position, None)

    def _reach(self, position: int) -> None:
        started = time.perf_counter()
        while self._reached < position:
            chunk = self._next_chunk()
            self._reached = next(self._left)[-1]
            self._damaged |= chunk.damaged
            for size, images in chunk.images.items():
                wanted = {place: image for place, image in images.items() if self._users[size, place]}
                self._held[size] |= wanted
        self.seconds += time.perf_counter() - started

    def _next_chunk(self) -> _Chunk:
        """What stops the decoding stops every network, with the same words."""
        if self._broken is not None:
            raise self._broken
        try:
            return next(self._decoded)
        except BenchError as error:
            self._broken = error
            raise


class Share(Iterator[Batch]):
    """The batches of one network."""

    def __init__(self, decoding: SharedDecoding, size: Size, batches: Sequence[range], *, gpu: bool) -> None:
        self._decoding = decoding
        self._size = size
        self._batches = batches
        self._gpu = gpu
        self._at = 0

    @property
    def next_position(self) -> int:
        """The first image of the batch that is taken next; -1 where none is left, so that the end is not put off."""
        return self._batches[self._at][0] if self._at < len(self._batches) else -1

    def __next__(self) -> Batch:
        if self._at >= len(self._batches):
            raise StopIteration
        self._at += 1
        batch = self._decoding.take(self._size, self._batches[self._at - 1])
        return batch.pin_memory() if self._gpu else batch

    def leave(self) -> None:
        """Needs no more images: the network has failed."""
        for batch in self._batches[self._at :]:
            for position in batch:
                self._decoding.forget(self._size, position)
        self._at = len(self._batches)


def size_of(image_input: Input) -> Size:
    """Returns what of an input decides its pixels."""
    return image_input.height, image_input.width, image_input.interpolation
