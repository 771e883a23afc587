"""Which images make each step: a function of seed, epoch and number, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from sysu30k_bench.data.images import DamagedImageError, decode_whole
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.interrupts import end_with_parent, put_off
from sysu30k_bench.training.ssl.recipe import SslRecipe
from sysu30k_bench.training.ssl.table import ImageTable
from sysu30k_bench.training.ssl.views import ImageViews

_CACHE_BYTES = 512 << 20


class Batch(NamedTuple):
    """One forward pass of one process.

    Attributes:
        epoch: From 0.
        step: Step of the optimiser within the epoch, from 0.
        chunk: Which `run.batch` images of the step.
    """

    epoch: int
    step: int
    chunk: int


@dataclass(frozen=True)
class Plan:
    """How the images of an epoch are shared out.

    Attributes:
        images: In the training set.
        batch: In one forward pass.
        chunks: Forward passes, of all processes together, in one step of the optimiser.
        seed: Of the order.
    """

    images: int
    batch: int
    chunks: int
    seed: int

    @classmethod
    def of(cls, recipe: SslRecipe, images: int, processes: int) -> Plan:
        """Makes the plan of a recipe.

        Raises:
            UsageError: Processes cannot share a step equally, or an epoch has not one.
        """
        run = recipe.run
        together = run.batch * processes
        wanted = run.images_per_step or together
        if wanted % together:
            raise UsageError(
                f"a step of {wanted} images cannot be shared among {processes} processes in batches of {run.batch}",
                hint="run.images_per_step has to be a multiple of run.batch times the processes",
            )
        if images < wanted:
            raise UsageError(
                f"there are {images} images to train on, and a step takes {wanted}",
                hint="lower run.batch or run.images_per_step",
            )
        return cls(images, run.batch, wanted // run.batch, run.seed)

    @property
    def steps(self) -> int:
        """Steps of an epoch; images that do not fill one are omitted from the epoch."""
        return self.images // (self.batch * self.chunks)

    def rows(self, batch: Batch) -> np.ndarray:
        """Returns the images of a batch, (`batch`,) int64."""
        begin = (batch.step * self.chunks + batch.chunk) * self.batch
        return _order(self.seed, batch.epoch, self.images)[begin : begin + self.batch]


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, images: int) -> np.ndarray:
    return np.random.default_rng([seed, 11, epoch]).permutation(images)


@dataclass(frozen=True)
class Views:
    """A batch, ready for the network.

    Attributes:
        batch: Which.
        first: (N, 3, H, W) float32.
        second: Likewise, of the same images.
        local: As many (N, 3, h, w) float32 as there are local views.
    """

    batch: Batch
    first: torch.Tensor
    second: torch.Tensor
    local: tuple[torch.Tensor, ...] = ()

    @property
    def every(self) -> tuple[torch.Tensor, ...]:
        """All views, in the order in which a method takes them."""
        return self.first, self.second, *self.local


class ViewBatches(Dataset[Views]):
    """Decodes images and draws their views.

    Args:
        table: What is trained on.
        recipe: Size, augmentation and seed.
        plan: Which images make each batch.
        batches: Those of this process, in order.
    """

    def __init__(self, table: ImageTable, recipe: SslRecipe, plan: Plan, batches: Sequence[Batch]) -> None:
        self._table, self._plan, self._batches = table, plan, batches
        self._seed, self._views = recipe.run.seed, ImageViews(recipe.views)
        self._cache: dict[int, Image.Image] = {}
        self._cached = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Views:
        batch = self._batches[index]
        rows = self._plan.rows(batch).tolist()
        drawn = []
        for place, (row, key) in enumerate(zip(rows, self._table.keys(rows), strict=True)):
            seed = np.random.SeedSequence([self._seed, 12, *batch, place])
            drawn.append(self._views(self._image(row, key), seed))
        first, second, *local = (torch.stack(list(views)) for views in zip(*drawn, strict=True))
        return Views(batch, first, second, tuple(local))

    def _image(self, row: int, key: str) -> Image.Image:
        image = self._cache.get(row)
        if image is None:
            try:
                image = decode_whole(self._table.source.read(key))
            except DamagedImageError as error:
                raise IntegrityError(
                    f"the training image {key} cannot be decoded: {error}",
                    hint="`sysu30k-bench data verify` lists all such images",
                ) from error
            size = 3 * image.width * image.height
            if self._cached + size <= _CACHE_BYTES:
                self._cache[row] = image
                self._cached += size
        return image


def load_views(views: ViewBatches, workers: int) -> Iterator[Views]:
    """Loads all batches in order, in worker processes where that is asked for."""
    with put_off():
        batches = iter(DataLoader(views, batch_size=None, num_workers=workers, worker_init_fn=_quiet))
    yield from batches


def _quiet(worker: int) -> None:
    end_with_parent(worker)
    torch.set_num_threads(1)
