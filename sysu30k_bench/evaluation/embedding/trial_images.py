"""A few images of the run itself, for trials of its speed and of its backends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from sysu30k_bench.data.images import DamagedImageError, decode
from sysu30k_bench.data.split import ROLES, TestSet
from sysu30k_bench.models.card import Input


class TrialImages(NamedTuple):
    """Decoded images.

    Attributes:
        images: (n, 3, H, W) uint8; n is 0 where none decodes.
        seconds: What reading and decoding one took in this process.
    """

    images: torch.Tensor
    seconds: float


def trial_images(test_set: TestSet, size: Input, wanted: int) -> TrialImages:
    """Reads and decodes images spread evenly over query and gallery, which may be of different sizes.

    Args:
        test_set: The lists, with the source of the images.
        size: What the network sees.
        wanted: How many; fewer where there are not so many, or some are damaged.
    """
    images = []
    started = time.perf_counter()
    for key in _spread(test_set, wanted):
        try:
            test_set.images.size(key)
            images.append(decode(test_set.images.read(key), size.height, size.width, size.interpolation))
        except DamagedImageError:
            continue
    seconds = (time.perf_counter() - started) / max(1, len(images))
    shape = (0, 3, size.height, size.width)
    return TrialImages(torch.from_numpy(np.stack(images) if images else np.empty(shape, np.uint8)), seconds)


def filled_up(images: torch.Tensor, number: int) -> torch.Tensor:
    """Returns exactly `number` images, (number, 3, H, W), some of them several times where there are fewer."""
    return images[torch.arange(number) % len(images)]


def _spread(test_set: TestSet, wanted: int) -> Iterator[str]:
    total = sum(len(test_set.split(role)) for role in ROLES)
    at = 0
    for role in ROLES:
        keys = test_set.split(role).keys
        for position, key in enumerate(keys):
            if (at + position + 1) * wanted // total > (at + position) * wanted // total:
                yield key
        at += len(keys)
