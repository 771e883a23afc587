"""The number of images in a forward pass, if the user did not set it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from sysu30k_bench.data.split import TestSet
from sysu30k_bench.evaluation.embedding.trial_images import filled_up, trial_images
from sysu30k_bench.models.embedder import Embedder, probe_dimension

CPU_BATCH = 32
GPU_BATCH = 256
_LARGEST = 2048
_WORTH_A_TRIAL = 50_000
_BETTER = 1.05
_ROUNDS = 3


def default_batch(embedder: Embedder, test_set: TestSet, device: torch.device) -> int:
    """Returns 32 on a CPU and 256 on a GPU; for a large export on a GPU what a trial finds.

    Args:
        embedder: The network, on its device.
        test_set: The lists, with the source of the images.
        device: Where the network runs.
    """
    if device.type != "cuda":
        return CPU_BATCH
    if len(test_set.query) + len(test_set.gallery) < _WORTH_A_TRIAL or embedder.takes_camera:
        return GPU_BATCH
    probe_dimension(embedder, device)
    images = trial_images(test_set, embedder.input, 64).images
    if not len(images):
        return GPU_BATCH

    def seconds(batch: int) -> float:
        pixels = filled_up(images, batch).to(device)
        embedder(pixels).cpu()
        started = time.perf_counter()
        for _ in range(_ROUNDS):
            embedder(pixels).cpu()
        return (time.perf_counter() - started) / _ROUNDS

    return fastest_batch(seconds)


def fastest_batch(seconds: Callable[[int], float], start: int = GPU_BATCH, largest: int = _LARGEST) -> int:
    """Doubles the batch while that makes the network at least 5 % faster; halves it where memory ends.

    Args:
        seconds: Times one batch of a size; raises `torch.OutOfMemoryError` where there is no memory for it.
        start: The first size tried.
        largest: The last.
    """
    best, rate = start, _rate(seconds, start)
    while rate == 0.0 and best > 1:
        best //= 2
        rate = _rate(seconds, best)
        if rate:
            return best
    while best < largest:
        doubled = _rate(seconds, 2 * best)
        if doubled < _BETTER * rate:
            break
        best, rate = 2 * best, doubled
    return best


def _rate(seconds: Callable[[int], float], batch: int) -> float:
    try:
        return batch / seconds(batch)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return 0.0
