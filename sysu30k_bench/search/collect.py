"""Which rows of a block can still enter a query's top-k."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.search.block import BlockScores, at_most
from sysu30k_bench.search.score import TIE
from sysu30k_bench.search.topk import TopK, cells


def collect_block(block: BlockScores, start: int, top: TopK) -> None:
    """Offers a block's candidates to the running top-k.

    Args:
        block: The block's scores; excluded pairs are minus infinity.
        start: Gallery position of the block's first row.
        top: The running top-k.
    """
    scores = block.approximate
    floor = top.floor - block.error
    if not top.full.all():
        floor = np.maximum(floor, _own_floor(block, top.position.shape[1]))
    candidates = scores >= at_most(floor)[:, None]
    candidates &= scores > -np.inf
    count = int(np.count_nonzero(candidates))
    if block.is_dense(count):
        _collect_dense(block, start, top, candidates)
    elif count:
        query, column = np.nonzero(candidates)
        top.offer(query, start + column, block.exact(query, column))


def _own_floor(block: BlockScores, k: int) -> np.ndarray:
    """A row that k others of its block surely beat cannot enter: what it must reach, (Q,) float64."""
    scores = block.approximate
    width = scores.shape[1]
    if width <= k:
        return np.full(len(scores), -np.inf)
    kth = np.partition(scores, width - k, axis=1)[:, width - k].astype(np.float64)
    return kth - 2 * block.error - 2 * TIE


def _collect_dense(block: BlockScores, start: int, top: TopK, candidates: np.ndarray) -> None:
    rows = np.flatnonzero(candidates.any(axis=1))
    k = top.position.shape[1]
    for places, scores in block.float64_rows(rows):
        query = rows[places]
        error = block.float64_error[query][:, None]
        wanted = candidates[query]
        cell = cells(scores)
        unsure = wanted & (cells(scores - error) != cells(scores + error))
        row, column = np.nonzero(unsure)
        cell[row, column] = cells(block.exact(query[row], column))
        order = np.where(wanted, -cell, np.iinfo(np.int64).max)
        best = np.argsort(order, axis=1, kind="stable")[:, :k]
        row = np.repeat(np.arange(len(query)), best.shape[1])
        kept = wanted[row, best.ravel()]
        chosen_query, chosen_column = query[row[kept]], best.ravel()[kept]
        top.offer(chosen_query, start + chosen_column, block.exact(chosen_query, chosen_column))
