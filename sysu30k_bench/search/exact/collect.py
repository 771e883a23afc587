"""Which rows of a block can still enter a query's top-k."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.block import BlockScores
from sysu30k_bench.search.exact.topk import TopK, cells
from sysu30k_bench.search.score import TIE


def collect_block(block: BlockScores, start: int, top: TopK) -> None:
    """Offers a block's candidates to the running top-k.

    Args:
        block: The block's scores; excluded pairs are minus infinity.
        start: Gallery position of the block's first row.
        top: The running top-k.
    """
    floor = top.floor
    if not top.full.all():
        floor = np.maximum(floor, _own_floor(block, top.position.shape[1]))
    if block.fast:
        done = _collect_fast(block, start, top, floor)
        while not done and block.refine():
            done = _collect_fast(block, start, top, floor)
        if done:
            return
    candidates = block.approximate >= _lowest(block, floor)[:, None]
    count = int(np.count_nonzero(candidates))
    if block.is_dense(count):
        _collect_dense(block, start, top, candidates)
    elif count:
        query, column = np.nonzero(candidates)
        top.offer(query, start + column, block.exact(query, column))


def _lowest(block: BlockScores, floor: np.ndarray) -> np.ndarray:
    lowest: np.ndarray = np.maximum(block.may_reach(floor), np.finfo(np.float32).min)  # excluded pairs lie below
    return lowest


def _collect_fast(block: BlockScores, start: int, top: TopK, floor: np.ndarray) -> bool:
    found = block.reaching(_lowest(block, floor), int(block.most_pairs))
    if found is None:
        return False
    query, column = found
    score = compiled.scores_reaching(block.queries, block.rows, query, column, floor, block.float32_error)
    kept = np.flatnonzero(score >= floor[query])
    if len(kept):
        top.insert(query[kept], start + column[kept], score[kept])
    return True


def _own_floor(block: BlockScores, k: int) -> np.ndarray:
    """A row that k others of its block surely beat cannot enter: what it must reach, (Q,) float64."""
    scores = block.approximate
    queries, width = scores.shape
    if width <= k:
        return np.full(queries, -np.inf)
    promising = np.argpartition(scores, width - k, axis=1)[:, width - k :]
    query = np.repeat(np.arange(queries), k)
    exact = block.exact(query, promising.ravel()).reshape(queries, k)
    excluded = np.isneginf(np.take_along_axis(scores, promising, axis=1)).any(axis=1)
    return np.where(excluded, -np.inf, exact.min(axis=1) - 2 * TIE)


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
