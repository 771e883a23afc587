"""The filters of the torch engine: float32, bfloat16, and eight bits with a scale for each row.

Each returns its products with a bound of their error; `docs/performance.md` derives the bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from sysu30k_bench.arithmetic import full_float32
from sysu30k_bench.errors import DataError
from sysu30k_bench.search.engines.engine import FLOAT32_UNIT, Approximate, float32_bound, underflow_error
from sysu30k_bench.search.engines.precision import once, refuse_reduced_precision, refuse_short_sums, refuse_wrong_int8
from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.score import column_slices, gamma, product_error

BF16_UNIT = 2.0**-8
LARGEST_INT8_DIMENSION = (2**31 - 1) // 127**2
_ROUNDED_UP = 1 + 1e-6
"""On norms of residuals: their sums in float64 are within 1e-11 of the real ones."""


class Filter(Protocol):
    """One arithmetic."""

    name: str

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """See `Engine`."""

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """See `Engine`."""


def available(device: torch.device) -> list[str]:
    """Returns the filters that a device computes natively, the one of largest error first."""
    if device.type == "cuda" or not compiled.is_compiled():
        return ["float32"]
    fast = []
    if _processor_has("_is_vnni_supported"):
        fast.append("int8")
    if _processor_has("_is_avx512_bf16_supported") or _processor_has("_is_amx_tile_supported"):
        fast.append("bf16")
    return [*fast, "float32"]


def _processor_has(question: str) -> bool:
    """Asks torch, which has no public name for it and may not have this one for ever."""
    return bool(getattr(torch.cpu, question, lambda: False)())


def make(name: str, device: torch.device) -> Filter:
    """Makes a filter and tests that the library computes as the bound assumes.

    Raises:
        DataError: It does not, or the filter is not for this device.
    """
    if name == "int8" and device.type == "cuda":
        raise DataError("the int8 filter runs on the CPU", hint="omit --filter")
    if name == "float32":
        return Float32Filter(device)
    return BFloat16Filter(device) if name == "bf16" else Int8Filter()


def _self_test(name: str, device: torch.device, test: Callable[[], None]) -> None:
    if device.type == "cpu":
        once(f"torch {name}", test)
    else:
        test()


class Float32Filter:
    """float32 products, with reduced-precision shortcuts (TF32, bf16) switched off.

    On the CPU they are numpy's: its BLAS is up to twice as fast as torch's, and was never slower where we looked.

    Args:
        device: Where to compute.
    """

    name = "float32"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._queries: list[np.ndarray] = []
        self._on_device: list[torch.Tensor] = []
        self._norms = np.empty(0)
        self._scores = _Buffer(torch.float32)
        _self_test(self.name, device, lambda: refuse_reduced_precision(self._host_product, f"torch on {device}"))

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """See `Engine`."""
        runs = column_slices(queries.shape[1])
        self._queries = [np.ascontiguousarray(queries[:, run]) for run in runs]
        self._on_device = [torch.from_numpy(part).to(self._device) for part in self._queries]
        self._norms = norms

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """See `Engine`."""
        runs = column_slices(block.shape[1])
        error = float32_bound(block.shape[1], self._norms, float(norms.max()))
        if self._device.type == "cpu":
            scores = self._scores.of(len(self._norms), len(block)).numpy()
            np.matmul(self._queries[0], block[:, runs[0]].T, out=scores)
            for part, run in zip(self._queries[1:], runs[1:], strict=True):
                scores += part @ block[:, run].T
            return Approximate(scores, error)
        gallery = torch.from_numpy(np.ascontiguousarray(block)).to(self._device)
        total = self._product(self._on_device[0], gallery[:, runs[0]])
        for queries, run in zip(self._on_device[1:], runs[1:], strict=True):
            total += self._product(queries, gallery[:, run])
        return Approximate(total.cpu().numpy(), error)

    def _product(self, queries: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        with full_float32():
            return queries @ block.T

    def _host_product(self, queries: np.ndarray, block: np.ndarray) -> np.ndarray:
        if self._device.type == "cpu":
            product: np.ndarray = queries @ block.T
            return product
        left, right = (torch.from_numpy(array).to(self._device) for array in (queries, block))
        return self._product(left, right).cpu().numpy()


class BFloat16Filter:
    """bfloat16 products, summed in float32 and returned in bfloat16.

    Args:
        device: Where to compute.
    """

    name = "bf16"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._queries: list[torch.Tensor] = []
        self._norms = self._residuals = np.empty(0)
        self._scores = _Buffer(torch.float32)
        _self_test(self.name, device, lambda: refuse_short_sums(self._host_product, f"torch on {device}"))

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """See `Engine`."""
        rounded, self._residuals = _rounded(queries)
        self._norms = norms
        self._queries = [rounded[:, run].contiguous().to(self._device) for run in column_slices(queries.shape[1])]

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """See `Engine`."""
        rounded, residuals = _rounded(block)
        rounded = rounded.to(self._device)
        runs = column_slices(block.shape[1])
        wide = len(runs) > 1
        scores = self._scores.of(len(self._norms), len(block))
        scores.copy_(self._queries[0] @ rounded[:, runs[0]].T)
        for queries, run in zip(self._queries[1:], runs[1:], strict=True):
            scores += queries @ rounded[:, run].T
        largest = float(norms.max())
        lost, reach = _lost(self._norms, self._residuals, largest, float(residuals.max()))
        summed = product_error(block.shape[1], FLOAT32_UNIT) * reach
        # of one run the output's rounding is left to the thresholds; of several it is an error, bounded run by run
        partial = 1.01 * BF16_UNIT * reach if wide else 0.0
        error = lost + summed + partial + underflow_error(block.shape[1], max(largest, float(self._norms.max())))
        return Approximate(scores.numpy(), error, 0.0 if wide else BF16_UNIT)

    def _host_product(self, queries: np.ndarray, block: np.ndarray) -> np.ndarray:
        left, right = (torch.from_numpy(array).to(self._device, torch.bfloat16) for array in (queries, block))
        return (left @ right.T).float().cpu().numpy()


class Int8Filter:
    """Eight-bit products, summed exactly in 32 bits, times a scale for each query and row; on the CPU."""

    name = "int8"

    def __init__(self) -> None:
        self._codes = torch.empty(0)
        self._scales = self._norms = self._residuals = np.empty(0)
        self._products, self._scores = _Buffer(torch.int32), _Buffer(torch.float32)
        nothing = np.empty((0, 0), np.int8)
        self._encoded: tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]] = (nothing, (nothing,) * 3)
        _self_test(self.name, torch.device("cpu"), lambda: refuse_wrong_int8(_int8_product))

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """See `Engine`; raises DataError where sums of that many products do not fit 32 bits."""
        if queries.shape[1] > LARGEST_INT8_DIMENSION:
            raise DataError(
                f"the int8 filter takes at most {LARGEST_INT8_DIMENSION:,} dimensions", hint="use --filter bf16"
            )
        codes, self._scales, self._residuals, _ = _encoded(queries)
        self._codes, self._norms = torch.from_numpy(codes), norms

    def norms(self, block: np.ndarray) -> np.ndarray:
        """Quantises a block, for the `scores` that follow, and returns its norms, which come with it."""
        codes, scales, residuals, norms = _encoded(block)
        self._encoded = (block, (codes, scales, residuals))
        return norms

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """See `Engine`."""
        if self._encoded[0] is not block:
            self.norms(block)
        codes, scales, residuals = self._encoded[1]
        products, scores = (buffer.of(len(self._norms), len(block)) for buffer in (self._products, self._scores))
        torch._int_mm(self._codes, torch.from_numpy(codes).T, out=products)  # noqa: SLF001
        compiled.scale_products(products.numpy(), self._scales, scales, scores.numpy())
        largest = float(norms.max())
        lost, reach = _lost(self._norms, self._residuals, largest, float(residuals.max()))
        return Approximate(scores.numpy(), lost + gamma(3, FLOAT32_UNIT) * reach + underflow_error(1, largest))


def _lost(norms: np.ndarray, residuals: np.ndarray, largest: float, worst: float) -> tuple[np.ndarray, np.ndarray]:
    """What shortened numbers lose, and the largest product of what is left of them, (Q,) each.

    From q.x - q^.x^ = r_q.x + q^.r_x, by Cauchy and Schwarz.

    Args:
        norms: (Q,) of the queries.
        residuals: (Q,) of what the queries lose.
        largest: Norm among the rows.
        worst: Norm among what the rows lose.
    """
    return residuals * largest + (norms + residuals) * worst, (norms + residuals) * (largest + worst)


def _rounded(rows: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Rounds rows to bfloat16; returns them and upper bounds of the norms of what that loses."""
    rows = np.ascontiguousarray(rows)
    if compiled.is_compiled():
        codes, residuals = compiled.encode_bf16(rows)
        return torch.from_numpy(codes).view(torch.bfloat16), residuals * _ROUNDED_UP
    plain = torch.from_numpy(rows)
    rounded = plain.bfloat16()
    lost = (plain.double() - rounded.double()).numpy()
    return rounded, np.linalg.norm(lost, axis=1) * _ROUNDED_UP


def _encoded(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    codes, scales, residuals, norms = compiled.encode_int8(np.ascontiguousarray(rows))
    return codes, scales, residuals * _ROUNDED_UP, norms


def _int8_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return torch._int_mm(torch.from_numpy(left), torch.from_numpy(right).T).numpy()  # noqa: SLF001


class _Buffer:
    """Memory for a block's products, kept from block to block: touching new pages costs as much as a product."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._memory = torch.empty(0, dtype=dtype)

    def of(self, queries: int, rows: int) -> torch.Tensor:
        """Returns (queries, rows), holding anything."""
        if self._memory.numel() < queries * rows:
            self._memory = torch.empty(queries * rows, dtype=self._dtype)
        return self._memory[: queries * rows].view(queries, rows)
