"""The float64 products of a block, where too many pairs are open to score each: the naive rule, at its edges."""

from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.search.exact import block as block_module
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.score import TIE, product_error
from sysu30k_bench.search.search import search
from tests.search.oracle import all_scores
from tests.search.test_search import assert_exact, engines, near_ties, sysu_like


@pytest.fixture(autouse=True)
def _always_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_module, "DENSE_PAIRS", 0)
    monkeypatch.setattr(block_module, "DENSE_SHARE", 0.0)
    monkeypatch.setattr(block_module, "COMPILED_DENSE_SHARE", 0.0)


@pytest.mark.parametrize("dimension", [2048, 2049, 4096, 5000])
@pytest.mark.parametrize("fast", [False, True])
def test_every_run_of_columns_counts(dimension: int, fast: bool) -> None:
    rng = np.random.default_rng(dimension)
    rel = sysu_like(rng, 4, 60)
    queries, gallery = near_ties(rng, 4, dimension), near_ties(rng, 60, dimension)
    for engine in engines():
        found = search(queries, ArrayGallery(gallery), rel, engine, top_k=10, block_rows=25, fast=fast)
        assert_exact(found, queries, gallery, rel, 10)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("fast", [False, True])
def test_differences_within_the_error_of_a_product_are_decided_exactly(sign: int, fast: bool) -> None:
    """A difference from the match that is 1e-12 but for less than what a float64 product may be wrong by."""
    dimension, rows = 2000, 300
    rng = np.random.default_rng(3)
    query, gallery = np.zeros((1, dimension), np.float32), np.zeros((rows, dimension), np.float32)
    query[0, 1:] = rng.choice([-1, 1], dimension - 1) / np.sqrt(2 * dimension)
    query[0, 0], gallery[:, 1:] = 2.0**-20, query[0, 1:]
    error = product_error(dimension, 2.0**-53)
    gallery[1:, 0] = sign * (TIE + rng.uniform(-error, error, rows - 1)) * 2.0**20
    people = np.concatenate([[1], np.full(rows - 1, -1000)])
    rel = relevance(np.array([1]), np.array([2]), people, np.ones(rows, np.int64))
    scores = all_scores(query, gallery)[0]
    difference = scores[1:] - scores[0]
    assert (np.abs(np.abs(difference) - TIE) < error).all()
    assert 20 < (np.abs(difference) > TIE).sum() < rows - 20
    for engine in engines():
        found = search(query, ArrayGallery(gallery), rel, engine, top_k=5, block_rows=rows, fast=fast)
        assert found.above[0] == (difference > TIE).sum()
        assert found.tied[0] == (np.abs(difference) <= TIE).sum()
