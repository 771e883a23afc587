"""The score: an inner product in float64 whose order of summation is part of its definition."""

from __future__ import annotations

import numpy as np

TIE = 1e-12
"""Scores that differ by at most this are tied."""

_SCRATCH_BYTES = 32 << 20


def pair_scores(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Scores pairs of embeddings, the same bits on every machine.

    Products of two float32 (or float16) numbers are exact in float64. They are added as a binary tree: the list is
    padded with zeros to a power of two, then its upper half is added onto its lower half until one number is left. Each
    step is an elementwise IEEE addition, so that no library, processor or block size can change the result.

    Args:
        left: (P, D) float32 or float16.
        right: (P, D) float32 or float16.

    Returns:
        (P,) float64.
    """
    count, dimension = left.shape
    width = 1 << max(0, dimension - 1).bit_length()
    rows = max(1, _SCRATCH_BYTES // (8 * width))
    out = np.empty(count)
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        tree = np.zeros((part.stop - part.start, width))
        np.multiply(left[part], right[part], out=tree[:, :dimension], dtype=np.float64)
        half = width // 2
        while half:
            tree[:, :half] += tree[:, half : 2 * half]
            half //= 2
        out[part] = tree[:, 0]
    return out


def tree_error(dimension: int) -> float:
    """Bounds how far `pair_scores` is from the real inner product, relative to the product of the two norms.

    The products are exact, and the tree adds log2(D) times (Higham, Accuracy and Stability of Numerical Algorithms,
    section 4.2).

    Args:
        dimension: D.
    """
    return gamma(max(1, (dimension - 1).bit_length()), 2.0**-53)


def gamma(operations: int, unit: float) -> float:
    """Higham's gamma_n = n u / (1 - n u), the growth of n roundings of unit u."""
    return operations * unit / (1 - operations * unit)


def column_slices(dimension: int, width: int = 2048) -> list[slice]:
    """Cuts D columns into runs of at most `width`, so that an error bound grows with the run and not with D."""
    return [slice(start, min(start + width, dimension)) for start in range(0, dimension, width)]


def product_error(dimension: int, unit: float, width: int = 2048) -> float:
    """Bounds the error of an inner product summed run by run, relative to the product of the two norms.

    Whatever the order inside a run, a term takes part in at most `width` roundings there and in one more for each run
    that is added behind (Higham, section 3.1).

    Args:
        dimension: D.
        unit: Unit roundoff of the arithmetic: 2^-24 for float32, 2^-53 for float64.
        width: Longest run.
    """
    runs = -(-dimension // width)
    return gamma(min(dimension, width) + runs, unit)
