"""When a coarse filter pays, and when a block is better scored in float32 from the start."""

from __future__ import annotations

from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.exact.block import BlockScores

FINEST_ROWS = 12_288
"""Rows that go without the coarse filter: until the top-k has something to beat, it leaves too much open."""
LONGEST_PAUSE = 2


class Pace:
    """Decides block by block; no decision changes a result.

    A coarse filter that leaves too much open on a block rests for the next one, after a second time for two; when that
    did not help either it is given up.

    Args:
        engine: Whose filter it is.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rows = 0
        self._rest = 0
        self._pause = 1

    @property
    def finest(self) -> bool:
        """Whether the next block goes without the coarse filter."""
        return self._rows < FINEST_ROWS or self._rest > 0

    def note(self, block: BlockScores, rows: int) -> None:
        """Takes in how a block went.

        Args:
            block: The block, counted and collected.
            rows: How many rows it had.
        """
        if not self.finest:
            if not block.refined:
                self._pause = max(1, self._pause // 2)
            elif self._pause > LONGEST_PAUSE:
                self._engine.fall_back()
                self._pause = 1
            else:
                self._rest, self._pause = self._pause, 2 * self._pause
        elif self._rest:
            self._rest -= 1
        self._rows += rows
