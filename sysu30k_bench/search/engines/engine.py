"""What a search engine is: fast inner products with a known error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from sysu30k_bench.search.score import product_error

FLOAT32_UNIT = 2.0**-24
SMALLEST_NORMAL = 2.0**-126
FAST_FROM = 2e10
"""From this many multiplications on, the compiled loops are worth the second that they take to load, and a trial of
FAISS's product beside numpy's the fifth of one."""
FilterName = Literal["auto", "float32", "bf16", "int8"]


@dataclass(frozen=True)
class Approximate:
    """Approximate inner products of a block, with what is known of their error.

    A returned number is within a relative `rounding` of some number that is within `error` of the real product, and the
    rounding keeps order, as every rounding to a shorter type does.

    Attributes:
        scores: (Q, B) float32, writable.
        error: (Q,) float64, absolute, before the rounding.
        rounding: Unit roundoff of the type in which the products were returned; 0 for float32 sums.
    """

    scores: np.ndarray
    error: np.ndarray
    rounding: float = 0.0


class Engine(Protocol):
    """Computes approximate scores of a block of gallery rows against all queries.

    An engine only filters. Whatever its error bound leaves open is decided in float64 by the caller, so that all
    engines give the same ranking, or one of them has lied about its error.

    Attributes:
        name: `faiss` or `torch`.
    """

    name: str

    @property
    def description(self) -> str:
        """Library, version, device and filter, for the record."""

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """Takes the queries, (Q, D) float32, and upper bounds of their norms, (Q,) float64, once."""

    def norms(self, block: np.ndarray) -> np.ndarray | None:
        """Measures the norms of a block that will be scored next, (B,) float64, where that comes with other work."""

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """Scores a block (B, D) float32, whose norms are at most `norms`, (B,) float64."""

    def finer(self, block: np.ndarray, norms: np.ndarray) -> Approximate | None:
        """Scores a block again with the smallest error that the engine has; None where `scores` has it already."""

    def fall_back(self) -> None:
        """Gives up the present filter for one of smaller error, if there is one: it keeps leaving too much open."""


def float32_error(dimension: int) -> float:
    """The bound of a float32 inner product of any order, summed in runs of 2,048 columns (see `product_error`)."""
    return product_error(dimension, FLOAT32_UNIT)


def float32_bound(dimension: int, query_norms: np.ndarray, largest_row: float) -> np.ndarray:
    """Bounds the error of float32 products of queries with rows, (Q,) float64, flushed denormals included.

    Args:
        dimension: D.
        query_norms: (Q,) upper bounds.
        largest_row: Upper bound of the rows' norms.
    """
    scale = query_norms * largest_row
    return float32_error(dimension) * scale + underflow_error(dimension, max(largest_row, float(query_norms.max())))


def underflow_error(dimension: int, largest_norm: float) -> float:
    """Bounds what flushing denormal inputs and products to zero can change, as an absolute error.

    Args:
        dimension: D.
        largest_norm: The largest norm among the rows concerned, which bounds every entry.
    """
    return 4.0 * dimension * SMALLEST_NORMAL * max(1.0, largest_norm)
