"""A self-test that unmasks float32 products that are not float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sysu30k_bench.errors import DataError


def refuse_reduced_precision(product: Callable[[np.ndarray, np.ndarray], np.ndarray], description: str) -> None:
    """Multiplies numbers that TF32 and bf16 cannot hold, and refuses an engine that loses them.

    TF32 keeps 10 bits of a fraction and bf16 keeps 7. A library that silently uses either is faster, and wrong by more
    than the bound that the ranking relies on.

    Args:
        product: Maps (Q, D) and (B, D) float32 to (Q, B) inner products.
        description: The engine, for the message.

    Raises:
        DataError: The products are not those of float32.
    """
    exact = np.float32(1 + 2.0**-20)
    size = 1024  # of the order of a real block: libraries choose their kernels by size
    left = np.zeros((size, size), np.float32)
    np.fill_diagonal(left, exact)
    right = np.eye(size, dtype=np.float32)
    if not np.array_equal(np.diagonal(product(left, right)), np.diagonal(left)):
        raise DataError(
            f"{description} does not multiply in full float32 (TF32 or bf16 is forced on)",
            hint="unset NVIDIA_TF32_OVERRIDE and similar variables, or choose another --engine",
        )
