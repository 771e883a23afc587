from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.search.topk import TopK, cells


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


def test_fewer_rows_than_k() -> None:
    top = TopK(2, 3)
    top.offer(np.array([1]), np.array([5]), np.array([0.5]))
    assert top.position.tolist() == [[-1, -1, -1], [5, -1, -1]]
    assert not top.full.any()
    assert np.isneginf(top.floor).all()
