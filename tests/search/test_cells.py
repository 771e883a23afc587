"""Rows whose scores differ by less than a tie: position decides, whichever of them the filter prefers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact import break_even as pace
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.search import search
from tests.search.oracle import all_scores
from tests.search.test_search import BoundEngine, assert_exact, sysu_like

QUERIES, ROWS, K = 4, 60, 7


def in_one_cell(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Queries and rows whose scores all lie within 0.8e-12, around the middle of a cell."""
    queries = np.tile(np.array([1.0, 1e-6], np.float32), (QUERIES, 1))
    rows = np.stack([np.full(ROWS, 0.5), rng.integers(-4, 5, ROWS) * 1e-7], axis=1).astype(np.float32)
    return queries, rows


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("finest", [0, 1000])
def test_rows_of_one_cell_enter_by_position_whatever_their_last_bits(
    seed: int, fast: bool, finest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FINEST_ROWS", finest)
    rng = np.random.default_rng(seed)
    queries, rows = in_one_cell(rng)
    scores = all_scores(queries, rows)
    assert 5e-13 < np.ptp(scores) < 1e-12
    rel = sysu_like(rng, QUERIES, ROWS)
    for engine in (TorchEngine(torch.device("cpu")), BoundEngine(seed)):
        for block_rows in (10, 1000):
            result = search(queries, ArrayGallery(rows), rel, engine, top_k=K, block_rows=block_rows, fast=fast)
            assert_exact(result, queries, rows, rel, K)
            assert result.top_position.tolist() == [list(range(K))] * QUERIES
