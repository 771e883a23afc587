"""A gallery's blocks, scored against queries, with every row checked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.exact.block import BlockScores, Rows
from sysu30k_bench.search.exact.break_even import Pace
from sysu30k_bench.search.gallery import Gallery
from sysu30k_bench.search.norms import check_norms


def scored_blocks(
    queries: Rows,
    gallery: Gallery,
    engine: Engine,
    pace: Pace,
    *,
    block_rows: int,
    done: int = 0,
    fast: bool,
    unit_tolerance: float | None,
) -> Iterator[tuple[int, BlockScores]]:
    """Scores a gallery block by block.

    Args:
        queries: The queries, which the engine has loaded.
        gallery: The rows.
        engine: The filter.
        pace: Decides whether a block goes without the coarse filter, and is told how each went.
        block_rows: Most rows of a block.
        done: Omit the rows before this position.
        fast: Use the compiled loops.
        unit_tolerance: How far a row's norm may be from 1; None for any length.

    Yields:
        The position of a block's first row and its scores, valid until the next is asked for.

    Raises:
        IntegrityError: A row is zero, NaN, infinite or not of unit length.
    """
    for start, stored in gallery.blocks(block_rows, done):
        values = np.ascontiguousarray(stored, np.float32)
        rows = Rows(values, fast=fast, norms=engine.norms(values) if fast and not pace.finest else None)
        check_norms(rows.norms, lambda row, start=start: gallery.name(start + row), unit_tolerance)  # type: ignore[misc]
        block = BlockScores(queries, rows, engine, fast=fast, finest=pace.finest)
        yield start, block
        pace.note(block, len(values))
