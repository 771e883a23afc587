"""What a search engine is: fast inner products with a known error."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sysu30k_bench.search.score import product_error

FLOAT32_UNIT = 2.0**-24
SMALLEST_NORMAL = 2.0**-126


class Engine(Protocol):
    """Computes approximate scores of a block of gallery rows against all queries.

    An engine only filters. Whatever its error bound leaves open is decided in float64 by the caller, so that all
    engines give the same ranking, or one of them has lied about its error.

    Attributes:
        name: `faiss` or `torch`.
        description: Library, version and device, for the record.
    """

    name: str
    description: str

    def load_queries(self, queries: np.ndarray) -> None:
        """Takes the queries, (Q, D) float32, once."""

    def scores(self, block: np.ndarray) -> np.ndarray:
        """Returns approximate inner products, (Q, B) float32, writable, for a block (B, D) float32."""

    def relative_error(self, dimension: int) -> float:
        """Bounds |approximate - exact|, relative to the product of the two norms."""


def float32_error(dimension: int) -> float:
    """The bound of a float32 inner product of any order, summed in runs of 2,048 columns (see `product_error`)."""
    return product_error(dimension, FLOAT32_UNIT)


def underflow_error(dimension: int, largest_norm: float) -> float:
    """Bounds what flushing denormal inputs and products to zero can change, as an absolute error.

    Args:
        dimension: D.
        largest_norm: The largest norm among the rows concerned, which bounds every entry.
    """
    return 4.0 * dimension * SMALLEST_NORMAL * max(1.0, largest_norm)
