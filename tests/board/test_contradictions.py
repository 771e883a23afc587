"""Numbers that deny each other, at their limits; and rankings of real searches, which never do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sysu30k_bench.board.checks.contradictions import (
    digest_faults,
    key_faults,
    ranking_faults,
    score_faults,
    written_fault,
)
from sysu30k_bench.board.rows import Evidence, parse_row
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.ranking import Ranking, make_ranking, read_ranking
from sysu30k_bench.search.search import search
from tests.board.made import GALLERY, add_row, query_key, ranks_of, write_evidence
from tests.conftest import unit_rows

ROWS = Path(__file__).parents[2] / "leaderboard" / "rows"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    made = add_row(tmp_path_factory.mktemp("row"), "made", ranks_of(4, 0, queries=8)).evidence
    assert made is not None
    return made


def test_a_real_run_denies_nothing(honest_run: Path, evidence: Evidence) -> None:
    path = honest_run / "ranking.csv"
    ranking = read_ranking(path)
    assert (ranking.table["rank_low"] > 1).any()
    assert (ranking.table["rank_low"] == 1).any()
    assert ranking_faults(ranking, evidence) == []
    assert key_faults(ranking) == []
    assert written_fault(ranking, path.read_bytes()) is None


def test_a_search_with_ties_denies_nothing(evidence: Evidence) -> None:
    """Images that are there twice: matches tied at rank 1, tied behind it, and alone."""
    rng = np.random.default_rng(0)
    gallery = unit_rows(rng, 60, 16)
    queries = gallery[:12] + rng.normal(0, 0.02, (12, 16)).astype(np.float32)
    queries[6:] = unit_rows(rng, 6, 16)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    gallery[20:23] = gallery[:3]
    gallery[23:26] = gallery[6:9]
    persons = np.concatenate([np.arange(12), np.full(48, -1000)])
    rel = relevance(np.arange(12), np.full(12, 2), persons, np.full(60, 1))
    keys = [query_key(number) for number in range(60)]
    result = search(queries, ArrayGallery(gallery), rel, TorchEngine(torch.device("cpu")), top_k=4)
    ranking = make_ranking(result, rel, keys[:12], keys)
    low, high = ranking.table["rank_low"], ranking.table["rank_high"]
    assert ((low == 1) & (high > 1)).sum() == 3
    assert ((low > 1) & (high > low)).any()
    assert ranking_faults(ranking, evidence) == []


def changed(path: Path, **values: Any) -> Ranking:
    table = read_ranking(write_evidence(path, [1, 1, 5, 1, 9, 1, 1, 7])).table.copy()
    for name, value in values.items():
        table.loc[0, name] = value
    return Ranking(table)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"margin": 1e-12}, False),
        ({"margin": 0.0}, True),
        ({"margin": -1e-9}, True),
        ({"rank_high": 2, "margin": 0.0}, False),
        ({"rank_high": 2, "margin": 1e-12}, False),
        ({"rank_high": 2, "margin": -1e-12}, False),
        ({"rank_high": 2, "margin": 1e-9}, True),
        ({"rank_high": 2, "margin": -1e-9}, True),
        ({"rank_low": 2, "rank_high": 2, "margin": -1e-12}, False),
        ({"rank_low": 2, "rank_high": 2, "margin": 0.0}, True),
        ({"rank_low": 2, "rank_high": 3, "margin": 0.2}, True),
        ({"score": 1.002, "margin": 0.1}, False),
        ({"score": 1.0021, "margin": 0.1}, True),
        ({"score": -1.0021, "margin": 0.1}, True),
        ({"score": -0.95, "margin": 0.1}, True),
        ({"score": 0.3, "margin": float("nan")}, True),
    ],
)
def test_margins_and_scores_at_their_limits(
    tmp_path: Path, evidence: Evidence, values: dict[str, object], wrong: bool
) -> None:
    assert bool(ranking_faults(changed(tmp_path / "e.csv", **values), evidence)) == wrong


def test_scores_stored_in_half_precision_may_be_a_little_larger(tmp_path: Path, evidence: Evidence) -> None:
    ranking = changed(tmp_path / "e.csv", score=1.015, margin=0.1)
    assert ranking_faults(ranking, evidence)
    assert ranking_faults(ranking, evidence.model_copy(update={"storage": "float16"})) == []


@pytest.mark.parametrize(
    ("less", "more"),
    [("rank1", "rank5"), ("rank5", "rank10"), ("rank10", "rank20"), ("rank1", "rank20"), ("rank1", "ap_standard"),
     ("rank1", "ap_trapezoid"), ("rank1", "minp"), ("ap_trapezoid", "ap_standard"), ("rank5", "rank20"),
     ("rank1", "rank10")],
)  # fmt: skip
def test_scores_that_cannot_be_in_this_order(less: str, more: str) -> None:
    row = parse_row((ROWS / "df.json").read_bytes())
    values = {"rank1": 0.29} | {less: 0.3, more: 0.3 - 5e-4}  # as rounding can make it
    assert score_faults(row.model_copy(update=values)) == []
    wrong = row.model_copy(update={"rank1": 0.29} | {less: 0.3, more: 0.29 - 2e-3})
    assert f"{less} is 0.3 and {more} is 0.288: it cannot be less" in score_faults(wrong)


@pytest.mark.parametrize(("name", "most"), [("ap_standard", 0.6), ("minp", 0.6), ("ap_trapezoid", 0.4)])
def test_a_mean_precision_has_a_limit(name: str, most: float) -> None:
    row = parse_row((ROWS / "df.json").read_bytes()).model_copy(update={"rank1": 0.2})
    assert score_faults(row.model_copy(update={name: most})) == []
    assert score_faults(row.model_copy(update={name: most + 0.002})) == [
        f"{name} is {most + 0.002}, and rank1 allows {most:.4g} at most"
    ]


def test_digests(evidence: Evidence) -> None:
    assert digest_faults(evidence) == []
    same = evidence.model_copy(update={"gallery_fingerprint": evidence.query_fingerprint})
    assert digest_faults(same) == [
        "query_fingerprint and gallery_fingerprint are equal, but belong to different things"
    ]
    assert digest_faults(evidence.model_copy(update={"weights_sha256": "ab" * 32})) == ["weights_sha256 is no digest"]


def test_keys_that_cannot_be_are_counted_and_the_first_of_each_kind_is_named(tmp_path: Path) -> None:
    ranking = read_ranking(write_evidence(tmp_path / "e.csv", [1] * 8))
    table = ranking.table.copy()
    for row in (2, 3):
        table.loc[row, ["query", "match"]] = table.loc[4, ["query", "match"]]
    table.loc[[0, 1], "query"] = ["x/1.jpg", "y/2.jpg"]
    assert key_faults(Ranking(table)) == [
        "2 keys are none of SYSU-30k (query/000028311/000028311_c2_2.jpg) (first: x/1.jpg)",
        "2 queries show a person of another query",
        "2 queries have the match of another query",
    ]
    table = ranking.table.copy()
    table.loc[1, ["query", "match"]] = table.loc[0, ["query", "match"]]
    assert key_faults(Ranking(table)) == [
        "1 query shows a person of another query",
        "1 query has the match of another query",
    ]


def test_lines_that_are_missing_or_spare_are_named(tmp_path: Path) -> None:
    path = write_evidence(tmp_path / "e.csv", [1, 2, 3, 4, 5, 6, 7, 8], gallery=GALLERY)
    ranking, content = read_ranking(path), path.read_bytes()
    assert written_fault(ranking, content) is None
    assert written_fault(ranking, content + b"\n") == "line 10 differs from what `search` writes"
    assert written_fault(ranking, content[:-1]) == "line 10 differs from what `search` writes"
    assert written_fault(ranking, content.replace(b"\n", b"\r\n")) == "line 1 differs from what `search` writes"
