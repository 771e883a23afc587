"""Reading shapes and counts off a file's tensors without ever failing on a strange file."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch


def shape_of(tensors: Mapping[str, torch.Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    """Returns a tensor's shape; zeros where it does not exist, or has another number of dimensions."""
    tensor = tensors.get(name)
    return tuple(tensor.shape) if tensor is not None and tensor.dim() == dimensions else (0,) * dimensions


def count_of(tensors: Mapping[str, torch.Tensor], pattern: str, limit: int = 256) -> int:
    """Counts modules that are numbered 0, 1, 2, ... without a gap.

    Args:
        tensors: The file's tensors.
        pattern: Regular expression of a whole name, whose first group is the number.
        limit: The largest count that is believed.

    Returns:
        How many there are; 0 where a number is missing or there are too many.
    """
    compiled = re.compile(pattern)
    numbers = {int(match[1]) for match in map(compiled.fullmatch, tensors) if match and len(match[1]) < 5}
    return len(numbers) if numbers == set(range(len(numbers))) and len(numbers) <= limit else 0
