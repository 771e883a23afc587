"""Shapes of a checkpoint's tensors, read in a way that strange files cannot break."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure

_MOST_LAYERS = 256
_WIDEST = 1 << 20

Tensors = Mapping[str, torch.Tensor]


def shape_of(tensors: Tensors, name: str, rank: int) -> tuple[int, ...]:
    """Returns the shape of a tensor that must be there.

    Args:
        tensors: The file's tensors.
        name: Which of them.
        rank: How many dimensions it must have.

    Raises:
        ValueError: It is missing, has another rank, or a size that no network has.
    """
    shape = tuple(tensors[name].shape) if name in tensors else ()
    if len(shape) != rank or not all(0 < size <= _WIDEST for size in shape):
        raise ValueError(f"{name} does not fit")
    return shape


def count_of(tensors: Tensors, pattern: str, start: int = 0) -> int:
    """Counts the numbers from `start` on which, put in the place of `{}`, name a tensor each."""
    return next((i for i in range(_MOST_LAYERS) if pattern.format(i + start) not in tensors), _MOST_LAYERS)


def demand(*conditions: bool) -> None:
    """Raises ValueError unless all conditions hold, without which a network could not be built."""
    if not all(conditions):
        raise ValueError("no network has such a structure")


def none_where_unfit(read: Callable[[Tensors], Structure]) -> Callable[[Tensors], Structure | None]:
    """Makes a reader of structure return None for tensors that are not its network's."""

    @functools.wraps(read)
    def wrapped(tensors: Tensors) -> Structure | None:
        try:
            return read(tensors)
        except (ValueError, ArithmeticError, LookupError):
            return None

    return wrapped


def embedding_widths(tensors: Tensors, name: str = "fc") -> list[int]:
    """Reads the widths of `embedding_layers` off a file; empty where it has none."""
    widths: list[int] = []
    while f"{name}.{3 * len(widths)}.weight" in tensors and len(widths) < _MOST_LAYERS:
        first = 3 * len(widths)
        width, _ = shape_of(tensors, f"{name}.{first}.weight", 2)
        shape_of(tensors, f"{name}.{first + 1}.running_mean", 1)
        widths.append(width)
    return widths


def embedding_layers(width: int, widths: list[int]) -> nn.Sequential:
    """Linear, batch norm and ReLU for each width, behind a pooled feature; the identity where there is none."""
    layers: list[nn.Module] = []
    for out in widths:
        layers += [nn.Linear(width, out), nn.BatchNorm1d(out), nn.ReLU()]
        width = out
    return nn.Sequential(*layers)
