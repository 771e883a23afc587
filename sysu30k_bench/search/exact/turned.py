"""A block's scores the other way round: its rows ask, and the queries are what is ranked for them."""

from __future__ import annotations

import numpy as np
import torch

from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.block import BlockScores


class TurnedScores(BlockScores):
    """The scores of a block, transposed: a score is the same for both rows of a pair, to the bit.

    The matrix itself is turned only where it is wanted whole, which costs as much as a product of 256 dimensions.

    Args:
        block: The block; no pair of the columns that are taken is excluded.
        first: The first of its columns to take.
    """

    _turned: np.ndarray | None

    def __init__(self, block: BlockScores, first: int) -> None:  # not super's: nothing is scored again
        self._block, self._first = block, first
        self.queries, self.rows, self.fast = block.rows[first:], block.queries, block.fast
        asking = len(self.queries)
        # an error holds for a query and any row of the block; so the largest holds for a row and any query
        self.float32_error = np.full(asking, block.float32_error.max())
        self.float64_error = np.full(asking, block.float64_error.max())
        self._take_over()

    @property
    def approximate(self) -> np.ndarray:  # type: ignore[override]
        """See `BlockScores`; (B - first, Q) float32."""
        turned = self._turned
        if turned is None:  # numpy does it on one core
            turned = self._turned = torch.from_numpy(self._columns).T.contiguous().numpy()
        return turned

    def refine(self) -> bool:
        """See `BlockScores`; the block itself is refined, too."""
        if not self._block.refine():
            return False
        self._take_over()
        return True

    def some(self, query: np.ndarray) -> np.ndarray:
        """See `BlockScores`."""
        return np.ascontiguousarray(self._columns[:, query].T)

    def lowest(self) -> np.ndarray:
        """See `BlockScores`."""
        lowest: np.ndarray = self._columns.min(axis=0)
        return lowest

    def reaching(self, low: np.ndarray, most: int, *, negated: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
        """See `BlockScores`."""
        return compiled.reaching_pairs(self._columns, low, most, negated=negated)

    def _take_over(self) -> None:
        block = self._block
        self._columns = block.approximate[:, self._first :]
        self._turned = None
        self.error = np.full(len(self.queries), block.error.max())
        self.rounding, self.refined, self.coarse = block.rounding, block.refined, block.coarse
