"""Self-tests of the products that the engines' error bounds rely on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sysu30k_bench.errors import DataError

_PASSED: set[str] = set()


def once(name: str, test: Callable[[], None]) -> None:
    """Runs a self-test when a process first asks for it: an evaluation in a training loop makes an engine each time.

    Args:
        name: What is tested. A product whose precision the program can change between two calls, as a GPU's, is tested
            each time and not by this.
        test: Raises where it fails; it is then run again by the next call.
    """
    if name not in _PASSED:
        test()
        _PASSED.add(name)


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


def refuse_short_sums(product: Callable[[np.ndarray, np.ndarray], np.ndarray], description: str) -> None:
    """Refuses bfloat16 products that are summed in fewer bits than float32 has.

    A sum of 1,024 ones, then 1,024 times 2^-6, is 1,040: exact in bfloat16 and in float32 sums. Summed in bfloat16 it
    would stop growing at 256, and in halves it would lose the small ones.

    Args:
        product: Maps (Q, D) and (B, D) float32, whose numbers bfloat16 holds, to (Q, B) products.
        description: The engine, for the message.

    Raises:
        DataError: Some sum is another.
    """
    size = 1024
    left = np.ones((size, 2 * size), np.float32)
    right = np.ones((size, 2 * size), np.float32)
    right[:, size:] = 2.0**-6
    if not np.array_equal(product(left, right), np.full((size, size), 1040, np.float32)):
        raise DataError(f"{description} does not sum bfloat16 products in float32", hint="use --filter float32")


def refuse_wrong_int8(product: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    """Refuses eight-bit products that saturate, as some processors' do without VNNI.

    Args:
        product: Maps (Q, D) and (B, D) int8 to (Q, B) int32 products.

    Raises:
        DataError: Some product is wrong.
    """
    rng = np.random.default_rng(0)
    left = rng.choice(np.array([-127, 127], np.int8), (256, 1024))
    right = rng.choice(np.array([-127, 127], np.int8), (512, 1024))
    left[0], right[0] = 127, 127
    left[1], right[1] = -127, 127
    if not np.array_equal(product(left, right), left.astype(np.float64) @ right.astype(np.float64).T):
        raise DataError("torch's eight-bit products are wrong on this processor", hint="use --filter float32")
