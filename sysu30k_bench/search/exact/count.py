"""How many rows of a block outrank, or tie with, each query's matches."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.block import BlockScores
from sysu30k_bench.search.score import TIE


def count_block(
    block: BlockScores, query: np.ndarray, match_score: np.ndarray, own_column: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts the rows of a block that score above a match, and those that tie with it.

    Args:
        block: The block's scores; excluded pairs are minus infinity.
        query: (T,) the query of each match; no query twice.
        match_score: (T,) float64, the exact score of each match.
        own_column: (T,) the match's own column in this block, or -1 where it lies in another.

    Returns:
        Rows above by more than 1e-12, (T,) int64, and rows within 1e-12 other than the match itself, (T,) int64.
    """
    if block.fast:
        counted = _count_fast(block, query, match_score, own_column)
        while counted is None and block.refine():
            counted = _count_fast(block, query, match_score, own_column)
        if counted is not None:
            return counted
    high = block.surely_above(match_score + TIE, query)
    low = block.may_reach(match_score - TIE, query)
    whole = len(query) == len(block.approximate)
    scores = block.approximate if whole else block.approximate[query]
    certain = scores > high[:, None]
    open_pairs = scores >= low[:, None]
    open_pairs &= ~certain
    here = np.flatnonzero(own_column >= 0)
    open_pairs[here, own_column[here]] = False
    certain[here, own_column[here]] = False
    above = np.count_nonzero(certain, axis=1).astype(np.int64)
    tied = np.zeros(len(query), np.int64)
    undecided = int(np.count_nonzero(open_pairs))
    if block.is_dense(undecided):
        _count_dense(block, query, match_score, open_pairs, above, tied)
    elif undecided:
        place, column = np.nonzero(open_pairs)
        _count_exact(block, query, match_score, place, column, above, tied)
    return above, tied


def _count_fast(
    block: BlockScores, query: np.ndarray, match_score: np.ndarray, own_column: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    high = block.surely_above(match_score + TIE, query)
    low = block.may_reach(match_score - TIE, query)
    found = compiled.open_pairs(block.approximate, query, high, low, own_column, int(block.most_pairs))
    if found is None:
        return None
    above, offset, column = found
    wide = not block.coarse
    error = (block.float64_error if wide else block.float32_error)[query]
    tied = compiled.decide(block.queries, block.rows, query, match_score, error, offset, column, above, wide=wide)
    return above, tied


def _count_exact(
    block: BlockScores,
    query: np.ndarray,
    match_score: np.ndarray,
    place: np.ndarray,
    column: np.ndarray,
    above: np.ndarray,
    tied: np.ndarray,
) -> None:
    difference = block.exact(query[place], column) - match_score[place]
    np.add.at(above, place[difference > TIE], 1)
    np.add.at(tied, place[np.abs(difference) <= TIE], 1)


def _count_dense(
    block: BlockScores,
    query: np.ndarray,
    match_score: np.ndarray,
    open_pairs: np.ndarray,
    above: np.ndarray,
    tied: np.ndarray,
) -> None:
    for places, scores in block.float64_rows(query):
        wanted = open_pairs[places]
        difference = scores - match_score[places][:, None]
        error = block.float64_error[query[places]][:, None]
        surely_above = wanted & (difference > TIE + error)
        surely_tied = wanted & (np.abs(difference) <= TIE - error)
        surely_below = difference < -TIE - error
        above[places] += np.count_nonzero(surely_above, axis=1)
        tied[places] += np.count_nonzero(surely_tied, axis=1)
        row, column = np.nonzero(wanted & ~surely_above & ~surely_tied & ~surely_below)
        _count_exact(block, query, match_score, places[row], column, above, tied)
