"""Searches read off rankings, through the search itself, and the record's part that is made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.metrics.open_set.rates import fnir, threshold_at
from sysu30k_bench.metrics.open_set.searches import searches_of
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.results.build import open_set_of
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.ranking import make_ranking, top_table
from sysu30k_bench.search.search import search
from tests.conftest import unit_rows
from tests.metrics.open_set import oracle

QUERIES, GALLERY = 150, 90


def test_searches_are_those_of_the_whole_score_matrix() -> None:
    """Several matches a query, junk, and queries without any match, whose best score stands in the top list alone."""
    rng = np.random.default_rng(0)
    query, gallery = unit_rows(rng, QUERIES, 8), unit_rows(rng, GALLERY, 8)
    asked, seen = rng.integers(1, 60, QUERIES), rng.integers(1, 50, GALLERY)
    asked_camera, seen_camera = rng.integers(1, 4, QUERIES), rng.integers(1, 4, GALLERY)
    rel = relevance(asked, asked_camera, seen, seen_camera)
    result = search(query, ArrayGallery(gallery), rel, TorchEngine(torch.device("cpu")), top_k=20)
    query_keys, gallery_keys = [f"q{n}" for n in range(QUERIES)], [f"g{n}" for n in range(GALLERY)]
    ranking = make_ranking(result, rel, query_keys, gallery_keys, skipped=["lost"])
    per_query = per_query_metrics(ranking.query_keys, ranking.matched)
    top = top_table(result, rel, query_keys, gallery_keys, 5)
    found = searches_of(ranking, per_query, top)
    scores = query.astype(float) @ gallery.astype(float).T
    places = {str(key): place for place, key in enumerate(found.query)}
    real = 0
    for number in range(QUERIES):
        same = seen == asked[number]
        match, junk = same & (seen_camera != asked_camera[number]), same & (seen_camera == asked_camera[number])
        place = places[f"q{number}"]
        assert found.other[place] == pytest.approx(scores[number][~match & ~junk].max(), abs=1e-9)
        if match.any():
            assert found.mated[place] == pytest.approx(scores[number][match].max(), abs=1e-9)
        else:
            real += 1
            assert np.isnan(found.mated[place])
    assert np.isnan(found.other[places["lost"]])
    assert found.real_non_mated == real > 0
    part = open_set_of(found)
    assert (part.mated, part.non_mated, part.without_match, part.left_out) == (QUERIES - real, QUERIES, real, 1)
    assert part.fnir_at_fpir1 is None
    assert part.not_computed == [
        "FPIR 1 % needs 1,000 non-mated searches, so that 10 of them set the threshold; there are 150"
    ]
    assert part.fnir_at_fpir10 is not None
    other = found.other[found.without_mate]
    assert part.threshold_at_fpir10 == threshold_at(other, 0.1)
    assert part.fnir_at_fpir10.value == pytest.approx(fnir(found.mated[found.with_mate], part.threshold_at_fpir10))
    alone = searches_of(ranking, per_query)
    assert int(alone.without_mate.sum()) == QUERIES - real  # without top lists they are not known


def test_searches_taken_at_places_keep_their_keys() -> None:
    taken = oracle.searches(np.array([0.1, 0.2, np.nan]), np.array([0.3, np.nan, 0.5])).take(np.array([2, 0, 2]))
    assert taken.query.tolist() == ["q2", "q0", "q2"]
    assert taken.other.tolist() == [0.5, 0.3, 0.5]
    assert (taken.with_mate.tolist(), taken.real_non_mated) == ([False, True, False], 2)


def test_at_the_lowest_threshold_the_tpir_is_the_closed_set_rank() -> None:
    rng = np.random.default_rng(1)
    query, gallery = unit_rows(rng, 30, 4), unit_rows(rng, 30, 4)
    rel = relevance(np.arange(30), np.zeros(30, int), np.arange(30), np.ones(30, int))
    result = search(query, ArrayGallery(gallery), rel, TorchEngine(torch.device("cpu")), top_k=2)
    ranking = make_ranking(result, rel, [f"q{n}" for n in range(30)], [f"g{n}" for n in range(30)])
    per_query = per_query_metrics(ranking.query_keys, ranking.matched)
    found = searches_of(ranking, per_query)
    assert found.found[1].mean() == per_query["rank1"].mean()
    assert ((found.mated > found.other) == (per_query["rank1"] == 1)).all()
