"""Reading shapes and numbers of blocks off the tensors of a file, whatever it holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch

_WIDEST = 1 << 22


def shape_of(tensors: Mapping[str, torch.Tensor], name: str, dimensions: int) -> tuple[int, ...] | None:
    """Returns the shape of a tensor with so many dimensions, none of them empty; None where there is no such tensor."""
    tensor = tensors.get(name)
    if tensor is None or tensor.dim() != dimensions:
        return None
    shape = tuple(int(size) for size in tensor.shape)
    return shape if all(0 < size < _WIDEST for size in shape) else None


def count_of(tensors: Mapping[str, torch.Tensor], start: str, end: str) -> int:
    """Counts the blocks `{start}0{end}`, `{start}1{end}` ... that stand in a row."""
    number = 0
    while f"{start}{number}{end}" in tensors:
        number += 1
    return number
