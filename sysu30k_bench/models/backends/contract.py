"""What a backend is: something that makes a faster function of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import nn

Runner = Callable[[torch.Tensor], torch.Tensor]
"""Maps float32 pixels (N, 3, H, W) to what the network gives: (N, D), or a map (N, D, h, w)."""


class BackendRefusal(Exception):  # noqa: N818  no error where it leads to another backend
    """A backend that cannot run a network here; its text says why.

    Args:
        reason: Why, to be read after "backend NAME: ".
        package: The package to install, where one is missing.
    """

    def __init__(self, reason: str, package: str = "") -> None:
        super().__init__(reason)
        self.package = package


class Job(NamedTuple):
    """What a backend is made for.

    Attributes:
        batch: Images in one call; a last, smaller batch is filled up where a backend takes one size alone.
        height: Rows of an image.
        width: Columns of an image.
        device: Where the network's parameters are.
        bf16: Compute in bfloat16.
    """

    batch: int
    height: int
    width: int
    device: torch.device
    bf16: bool = False

    def example(self, batch: int | None = None) -> torch.Tensor:
        """Makes grey pixels, (batch, 3, height, width) float32, on the device."""
        return torch.zeros(batch or self.batch, 3, self.height, self.width, device=self.device)


class Backend(Protocol):
    """One way of running a network."""

    def __call__(self, network: nn.Module, job: Job) -> Runner:
        """Makes a runner of a network in eval mode, which is left as it is; raises `BackendRefusal`."""


def pieces(images: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Cuts a batch into smaller ones of `size` images; the last may be shorter."""
    return [images[start : start + size] for start in range(0, len(images), size)]


def of_one_size(run: Runner, batch: int) -> Runner:
    """Lets a function that takes exactly `batch` images take any number: in pieces, the last filled up and cut.

    Args:
        run: Takes (batch, 3, H, W).
        batch: Images in one call.
    """

    def any_number(pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) == batch:
            return run(pixels)
        parts = []
        for piece in pieces(pixels, batch):
            short = batch - len(piece)
            full = torch.cat([piece, piece[-1:].expand(short, -1, -1, -1)]) if short else piece
            parts.append(run(full)[: len(piece)])
        return torch.cat(parts)

    return any_number


def first_line(error: BaseException) -> str:
    """Shortens a library's error to one line that a reason can quote."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
