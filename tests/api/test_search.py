from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch

import sysu30k_bench as sb
from sysu30k_bench.search.score import TIE, pair_scores

METRICS: tuple[Literal["cosine", "inner_product"], ...] = ("cosine", "inner_product")


def naive(query: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair in float64, in one order: by cells of the grid, then by place."""
    scores = np.stack([pair_scores(np.repeat(row[None], len(gallery), 0), gallery) for row in query])
    order = np.stack([np.lexsort((np.arange(len(gallery)), -np.rint(row / TIE))) for row in scores])[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("engine", ["faiss", "torch"])
def test_top_k_is_the_naive_ones_ties_in_the_order_of_the_gallery(
    metric: Literal["cosine", "inner_product"], engine: Any
) -> None:
    rng = np.random.default_rng(1)
    for number in range(8):
        query = rng.standard_normal((4, 6)).astype(np.float32)
        gallery = rng.standard_normal((30, 6)).astype(np.float32)
        gallery[10:20] = gallery[:10]  # ties
        if number % 2:
            query, gallery = np.sign(query), np.sign(gallery)
        scores, positions = sb.search(query, gallery, k=12, metric=metric, engine=engine)
        if metric == "cosine":
            query, gallery = (
                (one.astype(float) / np.linalg.norm(one.astype(float), axis=1, keepdims=True)).astype(np.float32)
                for one in (query, gallery)
            )
        wanted, places = naive(query, gallery, 12)
        assert scores.dtype == np.float64
        assert np.array_equal(positions, places)
        assert np.array_equal(scores, wanted)


def test_it_agrees_with_faiss_where_nothing_ties() -> None:
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(2)
    query, gallery = (rng.standard_normal((n, 8)).astype(np.float32) for n in (5, 40))
    _, wanted = faiss.knn(query, gallery, 7, metric=faiss.METRIC_INNER_PRODUCT)
    assert np.array_equal(sb.search(query, gallery, k=7, metric="inner_product").positions, wanted)


def test_a_gallery_smaller_than_k_is_returned_whole() -> None:
    found = sb.search(torch.eye(3), torch.eye(3, dtype=torch.float64)[:2], k=50)
    assert found.positions.tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"k": 0}, sb.UsageError, "k is 0"),
        ({"k": True}, sb.UsageError, "k is True"),
        ({"engine": "annoy"}, sb.UsageError, "engine is 'annoy'"),
        ({"memory": "1GB"}, sb.UsageError, "memory is '1GB'"),
        ({"memory": 0}, sb.UsageError, "memory is 0"),
        ({"query": "query.npy"}, sb.UsageError, "query is a str; it is an array"),
        ({"query": np.ma.masked_less(np.eye(3), 1)}, sb.UsageError, "query is a masked array"),
        ({"query": torch.eye(3, device="meta")}, sb.UsageError, "query is a tensor on the device meta"),
        ({"metric": "l2"}, sb.UsageError, "metric is 'l2'"),
        ({"query": np.ones((2, 4))}, sb.UsageError, r"query has shape \(2, 4\) and gallery \(3, 3\)"),
        ({"query": np.zeros((2, 3))}, sb.DataError, "query: 2 rows are zero"),
        ({"query": np.full((1, 3), 1e39), "metric": "inner_product"}, sb.DataError, "infinite in float32"),
        ({"query": np.full((1, 3), 1e7), "metric": "inner_product"}, sb.DataError, "inner products may reach"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], kind: type[sb.BenchError], said: str) -> None:
    with pytest.raises(kind, match=said):
        sb.search(**{"query": np.eye(3), "gallery": np.eye(3), **change})
