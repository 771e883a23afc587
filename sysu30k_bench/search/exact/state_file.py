"""Arrays that an interrupted search left on the disk: read only where they can be what it wrote."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sysu30k_bench.sealed import is_sealed


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray] | None:
    """Reads arrays of an uncompressed `.npz` file that ends with its digest.

    Args:
        path: The file.
        names: Of the arrays.

    Returns:
        The arrays; None where the file is missing, damaged, compressed (so that it could claim any size), or lacks one.
    """
    if not is_sealed(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                return None
        with np.load(path, allow_pickle=False) as state:
            return [state[name] for name in names]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def is_count(value: np.ndarray, most: int) -> bool:
    """Returns whether an array is one whole number from 0 to `most`."""
    return value.shape == () and value.dtype.kind in "iu" and 0 <= int(value) <= most


def is_top(position: np.ndarray, score: np.ndarray, like: tuple[np.ndarray, np.ndarray], rows: int) -> bool:
    """Returns whether arrays can be a top-k.

    Args:
        position: The positions read.
        score: The scores read.
        like: Positions and scores of the top-k that they would fill.
        rows: Positions lie below it.
    """
    if any((one.shape, one.dtype) != (own.shape, own.dtype) for one, own in zip((position, score), like, strict=True)):
        return False
    there = position >= 0
    if not (position >= -1).all() or not (position < rows).all():
        return False
    return bool((np.abs(score[there]) < np.inf).all() and np.isneginf(score[~there]).all())
