from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.data.protocol import relevance


def naive(qp: np.ndarray, qc: np.ndarray, gp: np.ndarray, gc: np.ndarray) -> tuple[list, list]:
    matches, junk = [], []
    for q in range(len(qp)):
        for g in range(len(gp)):
            same = qp[q] == gp[g] and qp[q] >= 0  # below 0 is nobody; 0 is a person
            if same and qc[q] != gc[g]:
                matches.append((q, g))
            elif same:
                junk.append((q, g))
    return matches, junk


@pytest.mark.parametrize("seed", range(20))
def test_against_naive_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    persons = np.array([-1000, -1, 0, 1, 2, 3, 4])
    qp, gp = rng.choice(persons, 15), rng.choice(persons, 60)
    qc, gc = rng.integers(1, 4, 15), rng.integers(1, 4, 60)
    found = relevance(qp, qc, gp, gc)
    matches, junk = naive(qp, qc, gp, gc)
    assert list(zip(found.match_query, found.match_position, strict=True)) == matches
    assert sorted(zip(found.junk_query, found.junk_position, strict=True)) == sorted(junk)
    assert np.array_equal(found.junk_for_all, gp == -1)
    ranked = [60 - int((gp == -1).sum()) - sum(1 for q, _ in junk if q == query) for query in range(15)]
    assert found.ranked_counts.tolist() == ranked
    assert found.match_counts.tolist() == [sum(1 for q, _ in matches if q == query) for query in range(15)]


def test_distractors_are_never_junk() -> None:
    found = relevance(np.array([5]), np.array([2]), np.array([-1000, -1000, 5]), np.array([1, 2, 1]))
    assert found.ranked_counts.tolist() == [3]
    assert found.match_position.tolist() == [2]


def test_no_gallery_match() -> None:
    found = relevance(np.array([5]), np.array([2]), np.array([6]), np.array([1]))
    assert found.match_query.size == 0
