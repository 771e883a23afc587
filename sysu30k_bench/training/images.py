"""Batches of augmented images: equal positions give equal pixels, in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from sysu30k_bench.data.images import DamagedImageError, decode
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.plans import Batch
from sysu30k_bench.training.recipe import InputPart
from sysu30k_bench.training.table import TrainingTable

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
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
        self._augment = augmentation(image_input)
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
        mixed = np.random.SeedSequence([self._seed, 5, *position, place]).generate_state(1, np.uint64)[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(mixed) & (2**63 - 1))
            augmented: torch.Tensor = self._augment(pixels)
        return augmented

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
                hint="`sysu30k-bench data verify` lists all such",
            ) from error


def labels_of(batch: Batch) -> BagLabels:
    """Returns the weak labels of a batch: all that a loss may know."""
    return BagLabels.of(batch.classes, torch.from_numpy(batch.bag))


def augmentation(image_input: InputPart) -> v2.Transform:
    """Makes the augmentation: jitter, crop, mirror, normalisation, erasing.

    The released code jitters before it resizes; here the resized pixels are jittered.

    Args:
        image_input: What to do.

    Returns:
        A transform of (3, H, W) uint8 to float32.
    """
    steps: list[v2.Transform] = []
    if image_input.jitter:
        steps.append(v2.ColorJitter(image_input.jitter, image_input.jitter, image_input.jitter))
    if image_input.padding or image_input.resize_height or image_input.resize_width:
        steps.append(v2.RandomCrop((image_input.height, image_input.width), padding=image_input.padding or None))
    if image_input.flip:
        steps.append(v2.RandomHorizontalFlip(image_input.flip))
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(MEAN), list(STD))]
    if image_input.erasing:
        steps.append(v2.RandomErasing(image_input.erasing, scale=(0.02, 0.4), ratio=(0.3, 3.33)))
    return v2.Compose(steps)


def load(images: TrainingImages, workers: int) -> Iterator[Loaded]:
    """Loads all batches in order, in worker processes where that is asked for."""
    yield from DataLoader(images, batch_size=None, num_workers=workers, worker_init_fn=partial(_quiet))


def _quiet(worker: int) -> None:  # noqa: ARG001  the loader's signature
    torch.set_num_threads(1)
