"""Golden cases of the reference script, and a public evaluator's own numbers, through search and metrics."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.metrics.summary import Summary, summarise
from sysu30k_bench.search.engines.engine import Engine
from sysu30k_bench.search.engines.faiss_engine import FaissEngine
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.ranking import make_ranking
from sysu30k_bench.search.search import search

ENGINES = [TorchEngine(torch.device("cpu")), FaissEngine()]


def evaluate(scores: list[float], persons: list[int], cameras: list[int], engine: Engine) -> Summary:
    """One query, identity 7, camera 2, whose scores against the gallery are given."""
    gallery = np.array([[score, np.sqrt(1 - score**2)] for score in scores], np.float32)
    query = np.array([[1.0, 0.0]], np.float32)
    rel = relevance(np.array([7]), np.array([2]), np.array(persons), np.array(cameras))
    result = search(query, ArrayGallery(gallery), rel, engine, top_k=3)
    return summarise(make_ranking(result, rel, ["q"], [f"g{n}" for n in range(len(scores))]))


DESCENDING = [0.9, 0.8, 0.7, 0.6, 0.5]
D = -1000


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize(
    ("scores", "persons", "cameras", "ap", "first"),
    [
        (DESCENDING, [7, D, D, D, D], [1] * 5, 1.0, 1),
        (DESCENDING, [D, 7, D, D, D], [1] * 5, 0.25, 2),
        (DESCENDING, [D, D, 7, D, D], [1] * 5, 0.166667, 3),
        (DESCENDING, [D, D, D, 7, D], [1] * 5, 0.125, 4),
        (DESCENDING, [D, D, D, D, 7], [1] * 5, 0.1, 5),
        (DESCENDING, [7, D, D, 7, D], [1] * 5, 0.708333, 1),
        (DESCENDING, [D, 7, 7, D, D], [1] * 5, 0.416667, 2),
        (DESCENDING, [7, D, 7, D, D], [2, 1, 1, 1, 1], 0.25, 2),
        (DESCENDING, [-1, D, 7, D, D], [1] * 5, 0.25, 2),
    ],
)
def test_reference_cases(
    scores: list[float], persons: list[int], cameras: list[int], ap: float, first: int, engine: Engine
) -> None:
    summary = evaluate(scores, persons, cameras, engine)
    assert summary.ap_trapezoid.value == pytest.approx(ap, abs=5e-7)
    assert summary.per_query["first_rank"].tolist() == [first]
    assert summary.rank[1].value == float(first == 1)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("persons", [[7, D], [D, 7]])
def test_a_tie_is_bounded_whatever_the_order_of_the_gallery(persons: list[int], engine: Engine) -> None:
    summary = evaluate([0.9, 0.9], persons, [1, 1], engine)
    assert summary.rank[1].value == 0.5
    assert (summary.rank1_optimistic, summary.rank1_pessimistic) == (1.0, 0.0)
    assert summary.ap_trapezoid_pessimistic == 0.25
    assert summary.ap_trapezoid.value == pytest.approx((1 + 0.25) / 2)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("persons", [[7, D, D], [D, 7, D]])
def test_nan_never_takes_a_rank(persons: list[int], engine: Engine) -> None:
    with pytest.raises(IntegrityError):
        evaluate([float("nan"), 0.9, 0.8], persons, [1] * 3, engine)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_public_features_give_what_a_public_evaluator_printed(engine: Engine) -> None:
    """50 queries x 100 gallery x 512 of a public PKU-Sketch result file, where SYSU30K_TESTS_PKU_SKETCH names it."""
    path = os.environ.get("SYSU30K_TESTS_PKU_SKETCH")
    if path is None:
        pytest.skip("SYSU30K_TESTS_PKU_SKETCH does not name pytorch_result.mat; its licence keeps it out of the tree")
    from scipy.io import loadmat

    mat = loadmat(Path(path))
    rel = relevance(*(mat[name].ravel() for name in ("query_label", "query_cam", "gallery_label", "gallery_cam")))
    result = search(mat["query_f"], ArrayGallery(mat["gallery_f"]), rel, engine, top_k=30, block_rows=17)
    summary = summarise(make_ranking(result, rel, [f"q{n}" for n in range(50)], [f"g{n}" for n in range(100)]))
    assert [summary.rank[k].value for k in (1, 5, 10)] == [0.14, 0.36, 0.48]
    assert round(summary.ap_trapezoid.value, 6) == 0.178
    assert round(summary.ap_standard.value, 6) == 0.217137
    assert round(summary.minp.value, 6) == 0.187561
