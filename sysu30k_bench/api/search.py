"""Exact nearest neighbours of arrays."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from sysu30k_bench.api.arguments import engine_name, whole_number
from sysu30k_bench.api.arrays import Matrix, matrix, same_width, unit_rows
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.search.engines.choose import EngineName, choose_device, choose_engine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.search import block_rows_for
from sysu30k_bench.search.search import search as exact_search

_LARGEST_SCORE = 9e6
"""Scores are ordered on a grid of 1e-12 in 64 bits."""


class Neighbours(NamedTuple):
    """The nearest rows of each query.

    Attributes:
        scores: (Q, k) float64, best first.
        positions: (Q, k) int64, rows of the gallery.
    """

    scores: np.ndarray
    positions: np.ndarray


def search(
    query: Matrix,
    gallery: Matrix,
    k: int = 50,
    *,
    metric: Literal["cosine", "inner_product"] = "cosine",
    engine: EngineName = "auto",
    device: str = "auto",
    memory: int = 2_000_000_000,
) -> Neighbours:
    """Finds the k nearest gallery rows of every query, exactly.

    A fast engine filters with a proven error bound; pairs that the bound cannot decide are scored in float64. The
    result does not depend on engine, device or block size. Scores within one cell of a grid of 1e-12 are in the order
    of the gallery.

    Args:
        query: (Q, D) embeddings, an array or a tensor of any floating-point type on any device.
        gallery: (G, D) embeddings.
        k: Rows to find; all of them where the gallery has fewer.
        metric: `cosine` scales the rows to unit length; `inner_product` takes them as they are, in float32.
        engine: `auto`, `faiss` or `torch`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`, where the search runs.
        memory: Bytes that the search may use for its blocks.

    Returns:
        Scores and positions, (Q, min(k, G)) each.

    Raises:
        UsageError: An argument has another shape or type, or k is below 1.
        DataError: Rows are zero, NaN or infinite, or too long for `inner_product`; or the device does not exist.

    Example:
        >>> import numpy as np
        >>> import sysu30k_bench as sb
        >>> gallery = np.eye(3)
        >>> scores, positions = sb.search([[3.0, 4.0, 0.0]], gallery, k=2)
        >>> positions.tolist(), scores.round(3).tolist()
        ([[1, 0]], [[0.8, 0.6]])
    """
    wanted, budget, asked = whole_number("k", k), whole_number("memory", memory), engine_name(engine)
    if metric not in ("cosine", "inner_product"):
        raise UsageError(f"metric is {metric!r}", hint="cosine or inner_product")
    queries, rows = matrix("query", query), matrix("gallery", gallery)
    same_width(queries, rows)
    if metric == "cosine":
        queries, rows = unit_rows("query", queries), unit_rows("gallery", rows)
    else:
        queries, rows = _bounded(queries, rows)
    nobody = np.full(len(queries), -2)
    nothing = relevance(nobody, nobody, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64))
    work = float(len(queries)) * rows.size
    chosen, _ = choose_engine(asked, choose_device(device), "auto", work)
    blocks = block_rows_for(budget, len(queries), queries.shape[1])
    found = exact_search(queries, ArrayGallery(rows), nothing, chosen, top_k=wanted, block_rows=blocks)
    return Neighbours(found.top_score, found.top_position)


def _bounded(queries: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    longest = 1.0
    narrow = []
    for name, array in (("query", queries), ("gallery", rows)):
        with np.errstate(over="ignore"):
            short = np.ascontiguousarray(array, np.float32)
        norms = np.sqrt(np.einsum("nd,nd->n", short, short, dtype=np.float64))
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        if len(bad):
            raise DataError(
                f"{name}: {len(bad):,} rows are zero, NaN or infinite in float32",
                details=[f"{name}[{row}]" for row in bad.tolist()],
            )
        longest *= float(norms.max())
        narrow.append(short)
    if longest > _LARGEST_SCORE:
        raise DataError(
            f"inner products may reach {longest:.3g}; they are ordered exactly up to {_LARGEST_SCORE:.0e}",
            hint="scale the rows down, or use metric='cosine'",
        )
    return narrow[0], narrow[1]
