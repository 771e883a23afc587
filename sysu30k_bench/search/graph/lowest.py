"""The lowest score of every row: the best of the scores with their signs changed; few blocks hold a new one."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.search.exact.block import BlockScores
from sysu30k_bench.search.exact.collect import collect_block
from sysu30k_bench.search.exact.topk import TopK


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
    promising = np.flatnonzero(-block.lowest() >= block.may_reach(lowest.floor))
    if len(promising):
        theirs = lowest.some(promising)
        collect_block(_Negated(block, promising), start, theirs)
        lowest.put(promising, theirs)
