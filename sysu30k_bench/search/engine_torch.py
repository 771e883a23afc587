"""The torch engines: float32 inner products on any device."""

from __future__ import annotations

import numpy as np
import torch

from sysu30k_bench.search.engine import float32_error
from sysu30k_bench.search.precision import refuse_reduced_precision
from sysu30k_bench.search.score import column_slices


class TorchEngine:
    """Scores by a float32 matrix product, with reduced-precision shortcuts (TF32, bf16) switched off.

    Args:
        device: Where to compute.
    """

    name = "torch"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._queries: list[torch.Tensor] = []
        self.description = f"torch {torch.__version__} on {device}, float32 filter"
        refuse_reduced_precision(self._host_product, self.description)

    def load_queries(self, queries: np.ndarray) -> None:
        """See `Engine`."""
        runs = column_slices(queries.shape[1])
        self._queries = [torch.from_numpy(np.ascontiguousarray(queries[:, run])).to(self._device) for run in runs]

    def scores(self, block: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        gallery = torch.from_numpy(np.ascontiguousarray(block)).to(self._device)
        runs = column_slices(block.shape[1])
        total = self._product(self._queries[0], gallery[:, runs[0]])
        for queries, run in zip(self._queries[1:], runs[1:], strict=True):
            total += self._product(queries, gallery[:, run])
        return total.cpu().numpy()

    def relative_error(self, dimension: int) -> float:
        """See `Engine`."""
        return float32_error(dimension)

    def _product(self, queries: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            return queries @ block.T
        finally:
            torch.set_float32_matmul_precision(before)

    def _host_product(self, queries: np.ndarray, block: np.ndarray) -> np.ndarray:
        left, right = (torch.from_numpy(array).to(self._device) for array in (queries, block))
        return self._product(left, right).cpu().numpy()
