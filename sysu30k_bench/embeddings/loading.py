"""Decoding batches of images, in worker processes where that pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sysu30k_bench.cpu_count import usable_processors
from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode
from sysu30k_bench.errors import DataError
from sysu30k_bench.interrupts import end_with_parent, put_off
from sysu30k_bench.models.card import Input

Item = TypeVar("Item")
_WORTH_WORKERS = 512
_MAX_WORKERS = 8
_MAX_GPU_WORKERS = 16


@dataclass(frozen=True)
class Batch:
    """Some decoded images.

    Attributes:
        positions: Positions in the split of the images that decoded.
        images: (n, 3, H, W) uint8, parallel to `positions`.
        damaged: Positions of those that did not, each with the reason.
    """

    positions: list[int]
    images: torch.Tensor
    damaged: dict[int, str]

    def pin_memory(self) -> Batch:
        """Returns the same batch in memory from which a GPU copies by itself; torch's loader calls it."""
        return replace(self, images=self.images.pin_memory())


class _Batches(Dataset[Batch]):
    def __init__(self, source: ImageSource, keys: Sequence[str], spans: Sequence[range], image_input: Input) -> None:
        self._source = source
        self._keys = keys
        self._spans = spans
        self._input = image_input

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Batch:
        images, positions, damaged = [], [], {}
        for position in self._spans[index]:
            try:
                content = self._source.read(self._keys[position])
                images.append(decode(content, self._input.height, self._input.width, self._input.interpolation))
                positions.append(position)
            except DamagedImageError as error:
                damaged[position] = str(error)
        shape = (0, 3, self._input.height, self._input.width)
        stacked = np.stack(images) if images else np.empty(shape, np.uint8)
        return Batch(positions, torch.from_numpy(stacked), damaged)


def workers_for(images: int, workers: int | None, *, gpu: bool = False) -> int:
    """Returns how many processes decode: those asked for, or none for a few images and one a core for many.

    Args:
        images: How many there are.
        workers: What was asked for; None where nothing was.
        gpu: The network runs on a GPU, which more processes can keep busy.
    """
    if workers is not None:
        return workers
    return min(_MAX_GPU_WORKERS if gpu else _MAX_WORKERS, usable_processors()) if images >= _WORTH_WORKERS else 0


def load_batches(
    source: ImageSource,
    keys: Sequence[str],
    spans: Sequence[range],
    image_input: Input,
    *,
    workers: int | None,
    gpu: bool = False,
) -> Iterator[Batch]:
    """Decodes images batch by batch, in order.

    Args:
        source: Where their bytes are.
        keys: The keys of the whole split.
        spans: Each batch's positions in the split.
        image_input: Size and interpolation.
        workers: Processes that decode; None lets the number of images and cores decide.
        gpu: The batches go to a GPU: they come in pinned memory.
    """
    processes = workers_for(sum(len(span) for span in spans), workers, gpu=gpu)
    yield from in_workers(_Batches(source, keys, spans, image_input), processes, gpu=gpu)


def in_workers(items: Dataset[Item], processes: int, *, gpu: bool) -> Iterator[Item]:
    """Makes the items of a data set in order, in processes where there are any.

    Raises:
        DataError: A process died.
    """
    try:
        with put_off():
            loader = DataLoader(
                items, batch_size=None, num_workers=processes, worker_init_fn=end_with_parent, pin_memory=gpu
            )
            decoded = iter(loader)
        yield from decoded
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"a decoding process died: {str(error).splitlines()[0]}",
            hint="containers often have little /dev/shm: run the same command with --workers 0",
        ) from error
