"""A block's scores the other way round: its rows ask, and the queries are what is ranked for them."""

from __future__ import annotations

import numpy as np
import torch

from sysu30k_bench.search.exact.block import BlockScores


class TurnedScores(BlockScores):
    """The scores of a block, transposed: a score is the same for both rows of a pair, to the bit.

    Args:
        block: The block; no pair of the columns that are taken is excluded.
        first: The first of its columns to take.

    Attributes:
        approximate: (B - first, Q) float32.
    """

    def __init__(self, block: BlockScores, first: int) -> None:  # not super's: nothing is scored again
        self._block, self._first = block, first
        self.queries, self.rows, self.fast = block.rows[first:], block.queries, block.fast
        asking = len(self.queries)
        # an error holds for a query and any row of the block; so the largest holds for a row and any query
        self.float32_error = np.full(asking, block.float32_error.max())
        self.float64_error = np.full(asking, block.float64_error.max())
        self._turn()

    def refine(self) -> bool:
        """See `BlockScores`; the block itself is refined, too."""
        if not self._block.refine():
            return False
        self._turn()
        return True

    def _turn(self) -> None:
        block = self._block
        turned = torch.from_numpy(block.approximate[:, self._first :]).T.contiguous()  # numpy does it on one core
        self.approximate = turned.numpy()
        self.error = np.full(len(self.queries), block.error.max())
        self.rounding, self.refined, self.coarse = block.rounding, block.refined, block.coarse
