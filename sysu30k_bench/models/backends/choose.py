"""A short trial of the backends on images of the run itself: the fastest of those that agree with eager."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from sysu30k_bench.models.backends.agreement import Reference
from sysu30k_bench.models.backends.contract import Backend, BackendRefusal, Runner, pieces
from sysu30k_bench.models.backends.registry import candidates_for, require_plain, use_backend
from sysu30k_bench.models.embedder import Embedder

WORTH_IT = 1.1
"""A backend that is not faster than eager by this factor is not taken: the trial's own noise is about as large."""
_SLOW_BUILDS = {"compile": 60.0, "tensorrt": 60.0}
_ROUNDS = 2


@dataclass(frozen=True)
class Tried:
    """What a trial found of one backend.

    Attributes:
        name: The backend.
        speedup: How many times faster than eager; 0 where it did not run.
        distance: Largest cosine distance to eager float32 on the trial images.
        reason: Why it cannot be taken; empty where it can.
    """

    name: str
    speedup: float = 0.0
    distance: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """What a trial ended with.

    Attributes:
        name: The backend taken.
        images: Trial images.
        tried: What was found of each.
    """

    name: str
    images: int
    tried: tuple[Tried, ...]

    @property
    def said(self) -> str:
        """The choice in a line, and what kept the others out."""
        taken = next((tried for tried in self.tried if tried.name == self.name), None)
        others = [f"{tried.name}: {_why(tried)}" for tried in self.tried if tried is not taken]
        if taken is None:
            line = f"backend eager: nothing faster agrees with it on {self.images} trial images"
        else:
            line = (
                f"backend {taken.name}: {taken.speedup:.1f} times eager on {self.images} trial images, "
                f"largest cosine distance {taken.distance:.0e}"
            )
        return f"{line} ({'; '.join(others)})" if others else line


def choose_backend(
    embedder: Embedder,
    images: torch.Tensor,
    batch: int,
    budget: float,
    *,
    backends: Mapping[str, Backend] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Tries the backends one after the other, and leaves the embedder running by the one that is taken.

    Args:
        embedder: The network, on its device.
        images: (N, 3, H, W) uint8 on that device, N a multiple of `batch`.
        batch: Images in one forward pass.
        budget: Seconds; no backend is built after them, nor one that may take longer than what is left.
        backends: In place of those that can run on the device.
        clock: Tells seconds.

    Returns:
        What was found and taken.
    """
    candidates = dict(backends if backends is not None else candidates_for(images.device))
    began = clock()
    embedder.use(None)
    try:
        require_plain(embedder.trunk, takes_camera=embedder.takes_camera)
    except BackendRefusal as refusal:
        return Choice("eager", len(images), tuple(Tried(name, reason=str(refusal)) for name in list(candidates)[:1]))
    reference = Reference(embedder, images, batch)
    eager = _seconds(embedder, images, batch, clock)
    tried: list[Tried] = []
    runners: dict[str, Runner | None] = {"eager": None}
    for name in candidates:
        left = budget - (clock() - began)
        if left <= _SLOW_BUILDS.get(name, 0.0):
            tried.append(Tried(name, reason="not tried: the time of the trial was used up"))
            continue
        tried.append(_try(name, embedder, reference, eager, batch, candidates, clock))
        if tried[-1].reason:
            embedder.use(None)
        runners[name] = embedder.runner
    sound = [one for one in tried if not one.reason and one.speedup >= WORTH_IT]
    best = max(sound, key=lambda one: one.speedup, default=None)
    name = best.name if best is not None else "eager"
    embedder.use(runners[name])
    return Choice(name, len(images), tuple(tried))


def _try(
    name: str,
    embedder: Embedder,
    reference: Reference,
    eager: float,
    batch: int,
    backends: dict[str, Backend],
    clock: Callable[[], float],
) -> Tried:
    try:
        use_backend(embedder, name, batch, backends)
        distance = reference.distance(embedder)
        if not distance <= reference.limit:
            return Tried(name, distance=distance, reason=f"cosine distance {distance:.0e} to eager")
        return Tried(name, eager / _seconds(embedder, reference.images, batch, clock), distance)
    except BackendRefusal as refusal:
        return Tried(name, reason=str(refusal))
    except Exception as error:  # noqa: BLE001  whatever a library raises, eager still works
        return Tried(name, reason=f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}")


def _seconds(embedder: Embedder, images: torch.Tensor, batch: int, clock: Callable[[], float]) -> float:
    """Seconds for one batch: the least, since neighbours on the machine can only add."""
    best = float("inf")
    for _ in range(_ROUNDS):
        for part in pieces(images, batch):
            started = clock()
            embedder(part).cpu()
            best = min(best, clock() - started)
    return max(best, 1e-9)


def _why(tried: Tried) -> str:
    return tried.reason or f"{tried.speedup:.1f} times eager"
