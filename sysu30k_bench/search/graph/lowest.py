"""The lowest score of every row: the best of the scores with their signs changed; few blocks hold a new one."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.search.exact.block import BlockScores
from sysu30k_bench.search.exact.collect import collect_block
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.score import TIE


class _Negated(BlockScores):
    """The scores of some queries of a block with their signs changed; both are exact to the bit.

    Args:
        block: The block; no pair is excluded.
        query: (R,) the queries.
    """

    def __init__(self, block: BlockScores, query: np.ndarray) -> None:  # not super's: nothing is scored again
        self._block, self._query = block, query
        self.queries, self.rows, self.fast = -block.queries[query], block.rows, block.fast
        self.float32_error, self.float64_error = block.float32_error[query], block.float64_error[query]
        self._negate()

    def refine(self) -> bool:
        """See `BlockScores`; the block itself is refined, too."""
        if not self._block.refine():
            return False
        self._negate()
        return True

    def _negate(self) -> None:
        block = self._block
        self.approximate, self.error = -block.some(self._query), block.error[self._query]
        self.rounding, self.refined, self.coarse = block.rounding, block.refined, block.coarse


def collect_lowest(block: BlockScores, start: int, lowest: TopK) -> None:
    """Offers a block's lowest scores.

    Args:
        block: The block's scores; no pair is excluded.
        start: Gallery position of the block's first row.
        lowest: A top-1 of the scores with their signs changed.
    """
    least = block.lowest()
    promising = -least >= block.may_reach(lowest.floor)
    if not promising.any() or (block.fast and _collect_few(block, start, least, promising, lowest)):
        return
    query = np.flatnonzero(promising)
    theirs = lowest.some(query)
    collect_block(_Negated(block, query), start, theirs)
    lowest.put(query, theirs)


def _collect_few(block: BlockScores, start: int, least: np.ndarray, promising: np.ndarray, lowest: TopK) -> bool:
    """Offers the pairs that may score as low as the one that seems lowest; False where these are too many."""
    best = -least.astype(np.float64)
    own = best - block.error - 1.01 * block.rounding * np.abs(best) - 2 * TIE
    low = np.where(promising, block.may_reach(np.maximum(lowest.floor, own)), np.float32(np.inf))
    found = block.reaching(low, int(block.most_pairs), negated=True)
    if found is None:
        return False
    query, column = found
    lowest.insert(query, start + column, -block.exact(query, column))
    return True
