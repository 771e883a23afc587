"""The FAISS engines: float32 inner products on the CPU or the GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sysu30k_bench.errors import DataError
from sysu30k_bench.extras import missing_package
from sysu30k_bench.search.engines.engine import Approximate, float32_bound
from sysu30k_bench.search.engines.precision import once, refuse_reduced_precision
from sysu30k_bench.search.score import column_slices

_EVERY_PAIR = -1
"""In place of a k: all distances, not the smallest."""

_TURN_COST = 3
"""To turn a number round costs as much as to copy three."""


class FaissEngine:
    """Scores by FAISS's own matrix product: a `LinearTransform` on the CPU, `bfKnn` for all distances on a GPU.

    `faiss.pairwise_distances` would not do on the CPU: for inner products it hands the work to numpy. Nor would
    `faiss.pairwise_distance_gpu`: it copies the queries to the GPU for every block.

    Args:
        gpu: Number of the GPU; None for the CPU.

    Raises:
        DataError: FAISS, or its GPU part, is missing.
    """

    name = "faiss"

    def __init__(self, gpu: int | None = None) -> None:
        self._faiss = import_faiss()
        self._resources = None
        if gpu is not None:
            if not faiss_has_gpu():
                raise DataError(
                    "this FAISS sees no GPU",
                    hint="pip uninstall faiss-cpu, then pip install faiss-gpu; or use --engine torch, or --device cpu",
                )
            self._resources = self._faiss.StandardGpuResources()
        self._gpu = gpu
        self.description = (
            f"faiss {self._faiss.__version__} on {'cpu' if gpu is None else f'cuda:{gpu}'}, float32 filter"
        )
        self._queries: list[np.ndarray | torch.Tensor] = []
        self._norms = np.empty(0)
        self._transform: Any = None
        self._scores = self._turned = np.empty((0, 0), np.float32)
        if gpu is None:
            once("faiss", lambda: refuse_reduced_precision(self._product, self.description))
        else:
            refuse_reduced_precision(self._product, self.description)

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        """See `Engine`."""
        self._norms = norms
        parts = [np.ascontiguousarray(queries[:, run], np.float32) for run in column_slices(queries.shape[1])]
        self._queries = [part if self._gpu is None else _upload(part, self._gpu) for part in parts]

    def norms(self, block: np.ndarray) -> None:  # noqa: ARG002
        """See `Engine`."""
        return

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        """See `Engine`."""
        runs = column_slices(block.shape[1])
        total = self._product(self._queries[0], np.ascontiguousarray(block[:, runs[0]]))
        if len(runs) > 1:
            total = total.copy()  # the next product takes its place
        for queries, run in zip(self._queries[1:], runs[1:], strict=True):
            total += self._product(queries, np.ascontiguousarray(block[:, run]))
        return Approximate(total, float32_bound(block.shape[1], self._norms, float(norms.max())))

    def finer(self, block: np.ndarray, norms: np.ndarray) -> None:  # noqa: ARG002
        """See `Engine`."""
        return

    def fall_back(self) -> None:
        """See `Engine`."""

    def _product(self, queries: np.ndarray | torch.Tensor, block: np.ndarray) -> np.ndarray:
        if self._resources is None and isinstance(queries, np.ndarray):
            return self._on_the_cpu(queries, block)
        scores = np.empty((len(queries), len(block)), np.float32)
        args = self._faiss.GpuDistanceParams()
        args.metric, args.k, args.device = self._faiss.METRIC_INNER_PRODUCT, _EVERY_PAIR, self._gpu
        args.dims, args.numQueries, args.numVectors = block.shape[1], len(queries), len(block)
        args.queryType = args.vectorType = self._faiss.DistanceDataType_F32
        args.queriesRowMajor = args.vectorsRowMajor = True
        args.queries, args.vectors = self._pointer(queries), self._pointer(block)
        args.outDistances = self._pointer(scores)
        self._faiss.bfKnn(self._resources, args)  # of each pointer it asks where it leads, and copies what is not there
        return scores

    def _on_the_cpu(self, queries: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Multiplies into memory that is kept: new pages for every block cost as much as 100 queries' products.

        FAISS wants one of the two matrices copied; with few queries it is theirs, and their scores are turned round.
        """
        rows, width = block.shape
        few = len(queries) * (width + _TURN_COST * rows) < rows * width
        fixed, moving = (queries, block) if few else (block, queries)
        transform = self._transform
        if transform is None or (transform.d_out, transform.d_in) != fixed.shape:
            transform = self._transform = self._faiss.LinearTransform(width, len(fixed), False)
            transform.is_trained = True
        self._faiss.copy_array_to_vector(fixed.ravel(), transform.A)
        self._turned = _of_shape(self._turned, (rows, len(queries))) if few else self._turned
        self._scores = _of_shape(self._scores, (len(queries), rows))
        out = self._turned if few else self._scores
        transform.apply_noalloc(len(moving), *map(self._faiss.swig_ptr, (moving, out)))
        if few:
            np.copyto(self._scores, self._turned.T)
        return self._scores

    def _pointer(self, matrix: np.ndarray | torch.Tensor) -> Any:  # noqa: ANN401  SWIG's
        if isinstance(matrix, np.ndarray):
            return self._faiss.swig_ptr(matrix)
        return self._faiss.cast_integer_to_float_ptr(matrix.data_ptr())


def _of_shape(kept: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return kept if kept.shape == shape else np.empty(shape, np.float32)


def _upload(part: np.ndarray, gpu: int) -> torch.Tensor:
    there = torch.from_numpy(part).to(torch.device("cuda", gpu))
    torch.cuda.synchronize(gpu)  # FAISS works in a stream of its own
    return there


def import_faiss() -> Any:  # noqa: ANN401  FAISS has no types
    """Imports FAISS.

    Returns:
        The module.

    Raises:
        DataError: It is not installed, or its CUDA libraries are missing.
    """
    try:
        import faiss
    except (ImportError, RuntimeError, OSError) as error:
        raise missing_package(f"FAISS cannot be imported: {error}", "faiss") from error
    return faiss


def faiss_has_gpu() -> bool:
    """Returns whether FAISS is installed, is its GPU build, and sees a GPU."""
    try:
        faiss = import_faiss()
    except DataError:
        return False
    return bool(hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0)
