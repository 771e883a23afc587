"""Grids of patches: which image size stands behind a number of positions, and positions for another size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

_FIRST_SIZES = ((256, 128), (384, 128))
_OTHER_SIZES = ((256, 256), (224, 224), (384, 192), (384, 384), (128, 64), (320, 160))
_STRIDES = (12, 14, 11, 10, 8)
_MOST_ROWS = 512
_MOST_ROWS_OF_SINES = 64
_CLOSE = 2e-3


class Grid(NamedTuple):
    """A grid of patches and the image that it covers."""

    rows: int
    columns: int
    stride: int
    height: int
    width: int


@dataclass(frozen=True)
class Found:
    """What a number of patches was taken for.

    Attributes:
        grid: The grid.
        note: Where others would fit as well, what was assumed.
    """

    grid: Grid
    note: str = ""


def find_grid(patches: int, patch: int, person_first: bool = False) -> Found | None:
    """Finds the grid that a number of position embeddings stands for.

    Args:
        patches: How many positions patches have.
        patch: Side of a patch, in pixels.
        person_first: Whether the sizes and overlapping strides of re-ID come before squares.

    Returns:
        None where no grid of a usual shape has so many patches.
    """
    if not (0 < patches <= _MOST_ROWS**2 and 1 <= patch <= 64):
        return None
    side = math.isqrt(patches)
    square = [_plain(side, side, patch)] if side * side == patches else []
    person = [grid for grid in _usual(patch) if grid.rows * grid.columns == patches]
    tall = [_plain(ratio * short, short, patch) for ratio in (2, 3) for short in _shorter(patches, ratio)]
    candidates = [*person, *square, *tall] if person_first else [*square, *person, *tall]
    distinct = list(dict.fromkeys(candidates))
    if not distinct:
        return None
    grid, others = distinct[0], distinct[1:]
    usual = (grid.height, grid.width) in _FIRST_SIZES or (not person_first and grid.rows == grid.columns)
    certain = not others or (usual and grid.stride in {patch, _STRIDES[0]})
    return Found(grid, "" if certain else _note(patches, grid, others))


def _note(patches: int, grid: Grid, others: list[Grid]) -> str:
    rest = ", ".join(f"{one.height}x{one.width} at stride {one.stride}" for one in others)
    return f"its {patches} positions were taken for {grid.height}x{grid.width} at stride {grid.stride}, not {rest}"


def _plain(rows: int, columns: int, patch: int) -> Grid:
    return Grid(rows, columns, patch, rows * patch, columns * patch)


def _shorter(patches: int, ratio: int) -> list[int]:
    short = math.isqrt(patches // ratio)
    return [short] if short and ratio * short * short == patches else []


def _usual(patch: int) -> list[Grid]:
    strides = [patch, *(stride for stride in _STRIDES if stride < patch)]
    first = [_overlapping(size, patch, stride) for stride in strides for size in _FIRST_SIZES]
    other = [_overlapping(size, patch, stride) for stride in strides for size in _OTHER_SIZES]
    return [grid for grid in (*first, *other) if grid.rows > 0 and grid.columns > 0]


def _overlapping(size: tuple[int, int], patch: int, stride: int) -> Grid:
    rows, columns = ((side - patch) // stride + 1 for side in size)
    return Grid(rows, columns, stride, *size)


def resized_positions(
    positions: torch.Tensor,
    grid: list[int],
    rows: int,
    columns: int,
    offset: float = 0.0,
    antialias: bool = False,
) -> torch.Tensor:
    """Interpolates a grid of position embeddings bicubically.

    Args:
        positions: (1, P, D), row by row.
        grid: Its rows and columns.
        rows: Wanted.
        columns: Wanted.
        offset: Added to both wanted sides where the scale is computed, as DINO's and DINOv2's code does (0.1); 0 goes
            by the sizes alone.
        antialias: Whether a smaller grid is filtered first (DINOv2 with registers).

    Returns:
        (1, rows x columns, D).
    """
    if [rows, columns] == grid:
        return positions
    maps = positions.reshape(1, grid[0], grid[1], -1).permute(0, 3, 1, 2).float()
    if offset:
        factors = [(rows + offset) / grid[0], (columns + offset) / grid[1]]
        resized = functional.interpolate(maps, scale_factor=factors, mode="bicubic", antialias=antialias)
    else:
        resized = functional.interpolate(maps, size=(rows, columns), mode="bicubic", antialias=antialias)
    return resized.flatten(2).transpose(1, 2).to(positions.dtype)


def are_moco_positions(positions: torch.Tensor) -> bool:
    """Says whether these are MoCo v3's fixed positions, (1, 1 + P, D): zero for the class token, sines of the places.

    By them a small transformer of MoCo v3 is distinguished from others (facebookresearch/moco-v3, vits.py).
    """
    side, quarter = math.isqrt(max(positions.shape[1] - 1, 0)), positions.shape[2] // 4
    fits = side * side == positions.shape[1] - 1 and 0 < side <= _MOST_ROWS_OF_SINES and quarter
    if positions.is_meta or not positions.is_floating_point() or not fits:
        return False
    rates = 1e4 ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
    angles = torch.arange(side, dtype=torch.float32)[:, None] * rates
    waves = torch.cat((angles.sin(), angles.cos()), dim=1)
    down, right = waves.repeat_interleave(side, dim=0), waves.repeat(side, 1)
    wanted = torch.cat((torch.zeros(1, 4 * quarter), torch.cat((down, right), dim=1)))
    return wanted.shape == positions.shape[1:] and torch.allclose(positions[0].float(), wanted, atol=_CLOSE)
