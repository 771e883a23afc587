"""From a number of position embeddings to the grid of patches, and to the size of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional as F

PERSON_SIZES = ((256, 128), (384, 128), (384, 192), (224, 112), (288, 144), (320, 160), (192, 96), (128, 64), (160, 80))
"""Heights and widths that person projects use, the most frequent first."""


def square_grid(positions: int) -> int | None:
    """Returns the side of a square grid with that many cells; None where the number is no square."""
    side = math.isqrt(max(positions, 0))
    return side if side > 0 and side * side == positions else None


def cells(height: int, width: int, patch: int, stride: int) -> tuple[int, int]:
    """Returns rows and columns of patches that a convolution without padding cuts from an image."""
    return (height - patch) // stride + 1, (width - patch) // stride + 1


def person_grid(positions: int, patch: int, strides: Sequence[int]) -> tuple[int, int, int, int, int] | None:
    """Finds the person image that gives a number of patches.

    Args:
        positions: The number of patches.
        patch: Side of a patch.
        strides: Distances between patches to try, in order.

    Returns:
        Height, width, rows, columns and stride; None where no usual size gives that number.
    """
    for stride in strides:
        for height, width in PERSON_SIZES:
            rows, columns = cells(height, width, patch, stride)
            if rows > 0 and columns > 0 and rows * columns == positions:
                return height, width, rows, columns, stride
    return None


def fitted_positions(embedding: torch.Tensor, own: tuple[int, int], wanted: tuple[int, int]) -> torch.Tensor:
    """Resizes position embeddings to another grid, as CLIP-ReID's and IRRA's loaders do (bilinear).

    Args:
        embedding: The class token's embedding and those of the grid, (1 + rows * columns, D).
        own: Rows and columns of the embedding.
        wanted: Rows and columns of the image at hand.

    Returns:
        (1 + wanted rows * wanted columns, D); the embedding itself where the grids agree.
    """
    if own == wanted:
        return embedding
    token, grid = embedding[:1], embedding[1:]
    maps = grid.reshape(1, *own, -1).permute(0, 3, 1, 2)
    maps = F.interpolate(maps, size=wanted, mode="bilinear", align_corners=False)
    return torch.cat([token, maps.permute(0, 2, 3, 1).flatten(0, 2)])


def shape_of(tensors: Mapping[str, torch.Tensor], name: str, dimensions: int) -> tuple[int, ...] | None:
    """Returns the shape of a tensor with so many dimensions, none of them empty; None where there is no such tensor."""
    tensor = tensors.get(name)
    if tensor is None or tensor.dim() != dimensions:
        return None
    shape = tuple(int(size) for size in tensor.shape)
    return shape if all(0 < size < 1 << 20 for size in shape) else None


def count_of(tensors: Mapping[str, torch.Tensor], start: str, end: str, most: int = 200) -> int:
    """Counts the blocks `{start}0{end}`, `{start}1{end}` ... that stand in a row."""
    number = 0
    while number <= most and f"{start}{number}{end}" in tensors:
        number += 1
    return number
