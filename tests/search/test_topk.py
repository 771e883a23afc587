from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.search.exact.topk import TopK, cells
from sysu30k_bench.search.score import TIE


@pytest.mark.parametrize("seed", range(30))
def test_any_cutting_of_the_gallery_gives_the_sorted_head(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery, k = 4, 40, int(rng.integers(1, 12))
    scores = np.round(rng.random((queries, gallery)), 1) + rng.choice([0, 4e-13, -4e-13], (queries, gallery))
    top = TopK(queries, k)
    start = 0
    while start < gallery:
        stop = min(gallery, start + int(rng.integers(1, 15)))
        query, column = np.nonzero(
            (scores[:, start:stop] >= top.floor[:, None]) & (rng.random((queries, stop - start)) <= 1)
        )
        if len(query):
            top.offer(query, start + column, scores[query, start + column])
        start = stop
    for query in range(queries):
        order = sorted(range(gallery), key=lambda position: (-cells(scores[query, position]), position))[:k]
        assert top.position[query].tolist() == order
        assert top.score[query].tolist() == [scores[query, position] for position in order]


@pytest.mark.parametrize("last", [0.3, -0.7, 0.0, 0.999999999999])
def test_the_floor_lies_between_the_last_cell_and_the_next(last: float) -> None:
    """What cannot enter is left out before it is scored; what can enter reaches the floor."""
    top = TopK(1, 2)
    top.offer(np.array([0, 0]), np.array([0, 1]), np.array([1.0, last]))
    floor = float(top.floor[0])
    middle = float(cells(np.array([last]))[0]) * TIE
    assert middle + 0.45 * TIE < floor < middle + 0.5 * TIE
    steps = np.linspace(0.501, 3, 200)
    assert (middle + steps * TIE >= floor).all()
    assert (cells(middle + steps * TIE) > cells(np.array([last]))).all()


def test_fewer_rows_than_k() -> None:
    top = TopK(2, 3)
    top.offer(np.array([1]), np.array([5]), np.array([0.5]))
    assert top.position.tolist() == [[-1, -1, -1], [5, -1, -1]]
    assert not top.full.any()
    assert np.isneginf(top.floor).all()


@pytest.mark.parametrize("size", [1.0, 4095.9, 4096.0, 5e3, 1e4, 1e6, -1e4, -4096.0])
def test_large_scores_that_differ_are_ordered_by_themselves(size: float) -> None:
    """Neighbouring numbers beyond 9,000 are farther apart than a cell of 1e-12, and quotients by it lose them."""
    scores = size + np.spacing(abs(size)) * np.random.default_rng(0).permutation(60) * (1 if abs(size) > 4096 else 1e5)
    assert (np.diff(cells(np.sort(scores))) > 0).all()
    top = TopK(1, 5)
    for start in range(0, 60, 7):
        column = start + np.flatnonzero(scores[start : start + 7] >= top.floor[0])
        if len(column):
            top.offer(np.zeros(len(column), np.int64), column, scores[column])
    assert top.position[0].tolist() == np.argsort(-scores)[:5].tolist()
