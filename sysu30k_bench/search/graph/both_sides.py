"""One part of a gallery against itself and all later rows: each pair is scored once, and counts for both its rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.exact.block import Rows
from sysu30k_bench.search.exact.break_even import Pace
from sysu30k_bench.search.exact.collect import collect_block
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.exact.turned import TurnedScores
from sysu30k_bench.search.gallery import Gallery
from sysu30k_bench.search.graph.lowest import collect_lowest
from sysu30k_bench.search.scored_blocks import scored_blocks


class BothSides:
    """Scores pairs of a gallery's rows, and keeps the best of each row.

    Args:
        gallery: The rows.
        engine: The filter.
        top: The top-k of every row of the gallery. Parts come in ascending order, so that it sees every row's
            candidates in the order of the gallery.
        block_rows: Rows of a block.
        unit_tolerance: How far a row's norm may be from 1; None for any length.
        fast: Use the compiled loops.
        lowest: Where wanted, a top-1 of every row's scores with their signs changed, those with itself included.
    """

    def __init__(
        self,
        gallery: Gallery,
        engine: Engine,
        top: TopK,
        *,
        block_rows: int,
        unit_tolerance: float | None,
        fast: bool,
        lowest: TopK | None = None,
    ) -> None:
        self._gallery, self._engine, self._top, self._lowest = gallery, engine, top, lowest
        self._block_rows, self._tolerance, self._fast = block_rows, unit_tolerance, fast
        self._pace = Pace(engine)

    def search(self, part: np.ndarray, first: int, advance: Callable[[int], None]) -> None:
        """Offers each row of a part its later rows and those of the part, and each later row those of the part.

        Args:
            part: (P, D) float32, consecutive rows.
            first: Position of the first of them.
            advance: Told of gallery rows done.

        Raises:
            IntegrityError: A row is zero, NaN, infinite or not of unit length.
        """
        end = first + len(part)
        known = Rows(part, fast=self._fast)
        self._engine.load_queries(known.values, known.bounds)
        own = self._top.span(first, end)
        scored = scored_blocks(
            known,
            self._gallery,
            self._engine,
            self._pace,
            block_rows=self._block_rows,
            done=first,
            fast=self._fast,
            unit_tolerance=self._tolerance,
        )
        for start, block in scored:
            count = len(block.rows)
            if self._lowest is not None:
                collect_lowest(block, start, self._lowest.span(first, end))
            itself = np.arange(start, min(start + count, end))
            block.exclude(itself - first, itself - start)
            collect_block(block, start, own)
            later = max(0, end - start)
            if later < count:
                turned, theirs = TurnedScores(block, later), slice(start + later, start + count)
                if self._lowest is not None:
                    collect_lowest(turned, first, self._lowest.span(theirs.start, theirs.stop))
                collect_block(turned, first, self._top.span(theirs.start, theirs.stop))
            advance(count)
