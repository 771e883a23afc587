"""How long an export will take, by a short trial of this network on images of this data set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sysu30k_bench.cpu_count import usable_processors
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.embeddings.loading import workers_for
from sysu30k_bench.evaluation.embedding.trial_images import filled_up, trial_images
from sysu30k_bench.models.embedder import Embedder

TRIAL_SECONDS = 2.0
_DECODED = 64
_MOST_BATCHES = 50
_START = 1.0  # of the decoding processes, and the first batch


@dataclass(frozen=True)
class Speed:
    """What a trial measured.

    Attributes:
        network: Seconds of the network for one image, all views, on all cores or the GPU.
        decoding: Seconds for reading, decoding and resizing one image on one core.
        cores: Processors that this process may use.
        apart: Whether the network leaves the processors free for decoding, as on a GPU.
    """

    network: float
    decoding: float
    cores: int
    apart: bool

    def seconds(self, images: int, workers: int | None) -> float:
        """Predicts the time of an export in one process.

        On a CPU network and decoding share the cores, so that their work adds up; beside a GPU they overlap.

        Args:
            images: How many.
            workers: Decoding processes; None as an export would choose.
        """
        if not images:
            return 0.0
        count = workers_for(images, workers, gpu=self.apart)
        decoding = self.decoding / max(1, min(count, self.cores))
        if not count:
            return images * (self.network + self.decoding)
        return _START + images * (max(self.network, decoding) if self.apart else self.network + decoding)


def measure_speed(
    test_set: TestSet,
    embedder: Embedder,
    device: torch.device,
    batch: int,
    *,
    seconds: float = TRIAL_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed | None:
    """Times decoding and network.

    The first batch is not counted: libraries prepare themselves during it, which took most of the time of a trial that
    was a single batch.

    Args:
        test_set: The lists, with the source of the images.
        embedder: The network, as it will run.
        device: Where it runs.
        batch: Images in one forward pass.
        seconds: How long to time the network; at least one batch after the first.
        clock: Tells seconds.

    Returns:
        The speeds; None where no image decodes.
    """
    trial_images(test_set, embedder.input, 4)  # the decoder prepares itself, too
    decoded = trial_images(test_set, embedder.input, _DECODED)
    if not len(decoded.images):
        return None
    images = filled_up(decoded.images, min(batch, sum(len(split) for split in (test_set.query, test_set.gallery))))
    cameras = torch.ones(len(images), dtype=torch.int64)
    embedder(images.to(device), cameras).cpu()
    started, batches = clock(), 0
    while batches < 1 or (clock() - started < seconds and batches < _MOST_BATCHES):
        embedder(images.to(device), cameras).cpu()
        batches += 1
    network = (clock() - started) / (batches * len(images))
    return Speed(network, decoded.seconds, usable_processors(), device.type == "cuda")
