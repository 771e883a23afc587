"""Batches of augmented images: equal positions give equal pixels, in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sysu30k_bench.data.images import DamagedImageError, decode
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.interrupts import end_with_parent, put_off
from sysu30k_bench.training.augmentation import augment
from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.plans import Batch
from sysu30k_bench.training.recipe import InputPart
from sysu30k_bench.training.table import TrainingTable

_CACHE_BYTES = 512 << 20


class Position(NamedTuple):
    """A batch of a run."""

    epoch: int
    number: int


@dataclass(frozen=True)
class Loaded:
    """A batch, ready for the network.

    Attributes:
        position: Which.
        images: (n, 3, H, W) float32, this process's share.
        labels: Of the whole batch.
        rows: (N,) int64, of the whole batch.
    """

    position: Position
    images: torch.Tensor
    labels: BagLabels
    rows: np.ndarray


class TrainingImages(Dataset[Loaded]):
    """Decodes and augments this process's share of each batch.

    Args:
        table: What is trained on.
        image_input: Size and augmentation.
        positions: The batches, in order.
        seed: Of the augmentation.
        rank: This process's number.
        world: Number of processes.
    """

    def __init__(
        self,
        table: TrainingTable,
        image_input: InputPart,
        positions: Sequence[Position],
        seed: int,
        rank: int,
        world: int,
    ) -> None:
        self._table, self._input, self._positions = table, image_input, positions
        self._seed, self._rank, self._world = seed, rank, world
        self._cache: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> Loaded:
        position = self._positions[index]
        batch = self._table.plan.batch(*position)
        share = len(batch.rows) // self._world
        mine = range(self._rank * share, (self._rank + 1) * share)
        keys = self._table.keys(batch.rows[mine.start : mine.stop].tolist())
        images = [
            self._image(int(batch.rows[place]), key, place, position) for place, key in zip(mine, keys, strict=True)
        ]
        return Loaded(position, torch.stack(images), labels_of(batch), batch.rows)

    def _image(self, row: int, key: str, place: int, position: Position) -> torch.Tensor:
        pixels = self._cache.get(row)
        if pixels is None:
            pixels = self._decoded(key)
            if (len(self._cache) + 1) * pixels.numel() <= _CACHE_BYTES:
                self._cache[row] = pixels
        return augment(pixels, self._input, np.random.default_rng([self._seed, 5, *position, place]))

    def _decoded(self, key: str) -> torch.Tensor:
        size = self._input
        try:
            content = self._table.source.read(key)
            return torch.from_numpy(
                decode(content, size.resize_height or size.height, size.resize_width or size.width, "bicubic")
            )
        except DamagedImageError as error:
            raise IntegrityError(
                f"the training image {key} cannot be decoded: {error}",
                hint="`sysu30k-bench data verify` lists all such images",
            ) from error


def labels_of(batch: Batch) -> BagLabels:
    """Returns the weak labels of a batch: all that a loss may know."""
    return BagLabels.of(batch.classes, torch.from_numpy(batch.bag))


def load(images: TrainingImages, workers: int) -> Iterator[Loaded]:
    """Loads all batches in order, in worker processes where that is asked for."""
    with put_off():
        batches = iter(DataLoader(images, batch_size=None, num_workers=workers, worker_init_fn=_quiet))
    yield from batches


def _quiet(worker: int) -> None:
    end_with_parent(worker)
    torch.set_num_threads(1)
