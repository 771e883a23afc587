"""Batches in flight: a device gets the next one before the host waits for the last one's result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch

Item = TypeVar("Item")
Landing = Callable[[], np.ndarray]
"""Waits for a result and returns it."""


def in_flight(items: Iterable[Item], launch: Callable[[Item], Landing]) -> Iterator[tuple[Item, np.ndarray]]:
    """Launches each item before the one in front of it is waited for.

    A GPU works on what was launched while the host decodes, copies and writes; with one item waiting behind the one
    that runs, it never stands still for the host.

    Args:
        items: What to launch, in order; taken one ahead.
        launch: Starts the work on one, and returns how to wait for its result.

    Yields:
        Each item with its result, in order.
    """
    before: tuple[Item, Landing] | None = None
    for item in items:
        landing = launch(item)
        if before is not None:
            yield before[0], before[1]()
        before = (item, landing)
    if before is not None:
        yield before[0], before[1]()


def landing_of(vectors: torch.Tensor) -> Landing:
    """Starts copying a result to the host, and returns how to wait for it.

    On a GPU the copy is queued behind the kernels that make the result, into pinned memory, and an event tells its end:
    `.cpu()` would wait for whatever was launched since.

    Args:
        vectors: (N, D) float32 on any device.
    """
    if vectors.device.type != "cuda":
        return lambda: vectors.cpu().numpy()
    with torch.cuda.device(vectors.device):
        host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        host.copy_(vectors, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()

    def wait() -> np.ndarray:
        event.synchronize()
        return host.numpy()

    return wait
