"""The compiled loops of `kernels`, shared among threads, with the arrays that they fill."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch

from sysu30k_bench.search.score import TIE

THREADS = torch.get_num_threads()


@cache
def is_compiled() -> bool:
    """Returns whether numba is installed and fits this numpy; asking costs its import, half a second."""
    try:
        importlib.import_module("sysu30k_bench.search.exact.kernels")
    except ImportError:
        return False
    return True


def norms(rows: np.ndarray) -> np.ndarray:
    """Returns the norms of float32 rows, (B,) float64."""
    from sysu30k_bench.search.exact import kernels

    out = np.empty(len(rows))
    _share(len(rows), lambda first, last: kernels.norms(rows, first, last, out))
    return out


def encode_bf16(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds rows to the nearest bfloat16.

    Args:
        rows: (B, D) float32, contiguous.

    Returns:
        The upper 16 bits of the rounded numbers (B, D) int16, and the norms (B,) float64 of what the rounding loses.
    """
    from sysu30k_bench.search.exact import kernels

    codes, residuals = np.empty(rows.shape, np.uint16), np.empty(len(rows))
    bits = rows.view(np.uint32)
    _share(len(rows), lambda first, last: kernels.encode_bf16(rows, bits, first, last, codes, residuals))
    return codes.view(np.int16), residuals


def encode_int8(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quantises rows to eight bits.

    Args:
        rows: (B, D) float32.

    Returns:
        Codes (B, D) int8 from -127 to 127, scales (B,) float32, and the norms (B,) float64 of
        row - scale * codes and of the rows themselves.
    """
    from sysu30k_bench.search.exact import kernels

    codes = np.empty(rows.shape, np.int8)
    scales, residuals, own = np.empty(len(rows), np.float32), np.empty(len(rows)), np.empty(len(rows))
    _share(len(rows), lambda first, last: kernels.encode_int8(rows, first, last, codes, scales, residuals, own))
    return codes, scales, residuals, own


def scale_products(products: np.ndarray, query_scale: np.ndarray, row_scale: np.ndarray, out: np.ndarray) -> None:
    """Writes products (Q, B) int32 times the scales of queries and rows into `out`, (Q, B) float32."""
    from sysu30k_bench.search.exact import kernels

    _share(
        len(products),
        lambda first, last: kernels.scale_products(products, query_scale, row_scale, first, last, out),
    )


def open_pairs(
    scores: np.ndarray, query: np.ndarray, high: np.ndarray, low: np.ndarray, own: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Sorts a block's scores into those surely above, those open, and those surely below.

    Args:
        scores: (Q, B) float32.
        query: (T,) rows of `scores`, one for each entry.
        high: (T,) float32; a score above it is surely above.
        low: (T,) float32; a score below it is surely below.
        own: (T,) a column to leave out, or -1.
        most: Give up where more pairs than this are open.

    Returns:
        How many are above (T,) int64; where each entry's open columns begin, (T + 1,) int64; the columns. None where
        too many are open.
    """
    from sysu30k_bench.search.exact import kernels

    count = len(query)
    above, opened = np.empty(count, np.int64), np.empty(count, np.int64)
    _share(
        count,
        lambda first, last: kernels.count_above(scores, query, high, low, own, first, last, above, opened),
    )
    offset = np.concatenate([[0], np.cumsum(opened)])
    if offset[-1] > most:
        return None
    column = np.empty(offset[-1], np.int64)
    _share(
        count,
        lambda first, last: kernels.pick_open(scores, query, high, low, own, offset, first, last, column),
    )
    return above, offset, column


def reaching_pairs(
    scores: np.ndarray, low: np.ndarray, most: int, *, negated: bool = False
) -> tuple[np.ndarray, np.ndarray] | None:
    """Finds the scores that reach the threshold of their column.

    Args:
        scores: (Q, B) float32, rows contiguous.
        low: (B,) float32.
        most: Give up where there are more.
        negated: Take the scores with their signs changed.

    Returns:
        Columns, ascending, and rows of the pairs, ascending within a column, (P,) int64 each; None where too many are.
    """
    from sysu30k_bench.search.exact import kernels

    reached, sign = np.empty(len(scores), np.int64), np.float32(-1 if negated else 1)
    _share(len(scores), lambda first, last: kernels.count_reaching(scores, low, sign, first, last, reached))
    offset = np.concatenate([[0], np.cumsum(reached)])
    if offset[-1] > most:
        return None
    row, column = np.empty(offset[-1], np.int64), np.empty(offset[-1], np.int64)
    _share(len(scores), lambda first, last: kernels.pick_reaching(scores, low, sign, offset, first, last, row, column))
    order = np.argsort(column, kind="stable")
    return column[order], row[order]


def decide(
    queries: np.ndarray,
    rows: np.ndarray,
    query: np.ndarray,
    match: np.ndarray,
    error: np.ndarray,
    offset: np.ndarray,
    column: np.ndarray,
    above: np.ndarray,
    *,
    wide: bool = False,
) -> np.ndarray:
    """Decides open pairs, adding those above to `above`.

    Args:
        queries: (Q, D) float32.
        rows: (B, D) float32.
        query: (T,) the query of each entry.
        match: (T,) float64, what each entry is compared with.
        error: (T,) float64, the error of the quick sums.
        offset: (T + 1,) from `open_pairs`.
        column: From `open_pairs`.
        above: (T,) int64, changed in place.
        wide: Sum quickly in float64; float32 has decided what it can.

    Returns:
        How many tie, (T,) int64.
    """
    from sysu30k_bench.search.exact import kernels

    tied = np.zeros(len(query), np.int64)

    def run(first: int, last: int) -> None:
        scratch = _scratch(queries.shape[1])
        kernels.decide(queries, rows, query, column, offset, first, last, match, TIE, error, wide, scratch, above, tied)

    _share(len(query), run)
    return tied


def exact_scores(queries: np.ndarray, rows: np.ndarray, query: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Scores pairs by the rule of `pair_scores`, (P,) float64."""
    from sysu30k_bench.search.exact import kernels

    out = np.empty(len(query))

    def run(first: int, last: int) -> None:
        kernels.tree_scores(queries, rows, query, column, first, last, _scratch(queries.shape[1]), out)

    _share(len(query), run)
    return out


def scores_reaching(
    queries: np.ndarray,
    rows: np.ndarray,
    query: np.ndarray,
    column: np.ndarray,
    floor: np.ndarray,
    error: np.ndarray,
) -> np.ndarray:
    """Scores pairs that may reach their query's floor; minus infinity for those that surely do not.

    Args:
        queries: (Q, D) float32.
        rows: (B, D) float32.
        query: (P,).
        column: (P,).
        floor: (Q,) float64.
        error: (Q,) float64, the error of a float32 product.
    """
    from sysu30k_bench.search.exact import kernels

    out = np.empty(len(query))

    def run(first: int, last: int) -> None:
        scratch = _scratch(queries.shape[1])
        kernels.score_reaching(queries, rows, query, column, floor, error, first, last, scratch, out)

    _share(len(query), run)
    return out


def insert_best(
    query: np.ndarray,
    position: np.ndarray,
    score: np.ndarray,
    cell: np.ndarray,
    top: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Inserts candidates into the running top-k of their queries.

    Args:
        query: (P,) ascending.
        position: (P,) int64.
        score: (P,) float64.
        cell: (P,) int64.
        top: Positions, scores and cells of the top-k, (Q, k) each, changed in place.
    """
    from sysu30k_bench.search.exact import kernels

    queries = len(top[0])
    begin = np.searchsorted(query, np.arange(queries + 1))
    _share(
        queries,
        lambda first, last: kernels.insert_best(position, score, cell, begin, first, last, *top),
    )


def _scratch(dimension: int) -> np.ndarray:
    return np.empty(1 << max(0, dimension - 1).bit_length())


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="kernels")


def _share(count: int, work: Callable[[int, int], None]) -> None:
    """Runs work(first, last) over equal parts of range(count), one for each thread."""
    if THREADS == 1 or count < THREADS:
        work(0, count)
        return
    edges = np.linspace(0, count, THREADS + 1).astype(int).tolist()
    running = [_pool().submit(work, first, last) for first, last in itertools.pairwise(edges)]
    for part in running:
        part.result()
