"""The torch engine: inner products in float32, bfloat16 or eight bits, on any device that can."""

from __future__ import annotations

import numpy as np
import torch

from sysu30k_bench.search.engines import filters
from sysu30k_bench.search.engines.engine import Approximate, FilterName
from sysu30k_bench.search.engines.filter_trial import filters_that_pay
from sysu30k_bench.search.engines.filters import Filter


class TorchEngine:
    """Scores by a matrix product of torch's.

    Args:
        device: Where to compute.
        wanted: The filter. `auto` takes eight bits where the processor multiplies them natively, the loops are
            compiled and a trial shows that they pay, then bfloat16, then float32; and goes over to the next where a
            filter leaves too much open.

    Raises:
        DataError: The filter is not available, or float32 products are not float32.
    """

    name = "torch"

    def __init__(self, device: torch.device, wanted: FilterName = "float32") -> None:
        self._device = device
        self._names: tuple[str, ...] = _automatic(device) if wanted == "auto" else (wanted,)
        self._finest = filters.Float32Filter(device)
        self._queries, self._norms = np.empty((0, 0), np.float32), np.empty(0)
        self._filter = self._make()

    @property
    def description(self) -> str:
        """Library, version, device and filter."""
        otherwise = "" if self._filter is self._finest else ", float32 if that leaves too many pairs open"
        return f"torch {torch.__version__} on {self._device}, {self._filter.name} filter{otherwise}"

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """See `Engine`."""
        self._queries, self._norms = queries, norms
        if self._names[0] == "int8" and queries.shape[1] > filters.LARGEST_INT8_DIMENSION and len(self._names) > 1:
            self._names = self._names[1:]
            self._filter = self._make()
        self._finest.load_queries(queries, norms)
        if self._filter is not self._finest:
            self._filter.load_queries(queries, norms)

    def norms(self, block: np.ndarray) -> np.ndarray | None:
        """See `Engine`."""
        return self._filter.norms(block) if isinstance(self._filter, filters.Int8Filter) else None

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """See `Engine`."""
        return self._filter.scores(block, norms)

    def finer(self, block: np.ndarray, norms: np.ndarray) -> Approximate | None:
        """See `Engine`."""
        return None if self._filter is self._finest else self._finest.scores(block, norms)

    def fall_back(self) -> None:
        """See `Engine`."""
        if len(self._names) > 1:
            self._names = self._names[1:]
            self._filter = self._make()
            self._filter.load_queries(self._queries, self._norms)

    def _make(self) -> Filter:
        name = self._names[0]
        return self._finest if name == "float32" else filters.make(name, self._device)


def _automatic(device: torch.device) -> tuple[str, ...]:
    return filters_that_pay() if device.type == "cpu" else tuple(filters.available(device))
