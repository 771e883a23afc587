from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import sysu30k_bench as sb


def test_batches_give_what_the_whole_gives() -> None:
    rng = np.random.default_rng(4)
    rows = {"query": rng.standard_normal((7, 5)), "gallery": rng.standard_normal((23, 5))}
    ids = {"query": rng.integers(0, 4, 7), "gallery": rng.integers(0, 4, 23)}
    cams = {"query": np.ones(7, int), "gallery": np.full(23, 2)}
    whole = sb.score(
        *(rows[role].astype(np.float32) for role in rows),
        query_ids=ids["query"],
        gallery_ids=ids["gallery"],
        query_cams=cams["query"],
        gallery_cams=cams["gallery"],
    )
    metric = sb.RetrievalMetric()
    for _ in range(2):
        for role in rows:
            for part in np.array_split(np.arange(len(ids[role])), 3):
                batch = torch.from_numpy(rows[role][part]).requires_grad_()
                metric.update(batch, torch.from_numpy(ids[role][part]), cams[role][part], role=role)  # type: ignore[arg-type]
        assert len(metric) == 30
        assert metric.compute() == whole.metrics
        assert metric.result().ranking.equals(whole.ranking)
        metric.reset()
    with pytest.raises(sb.UsageError, match="nothing was added for the query"):
        metric.compute()


def test_memory_of_the_caller_may_be_used_again() -> None:
    metric, batch = sb.RetrievalMetric(), np.eye(2, dtype=np.float32)
    for role in ("query", "gallery"):
        metric.update(batch, [1, 2], role=role)  # type: ignore[arg-type]
    batch[:] = 0
    assert metric.compute()["rank1"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"role": "probe"}, "role is 'probe'"),
        ({"ids": [1]}, r"ids has shape \(1,\)"),
        ({"embeddings": torch.eye(2, 4)}, "embeddings have 4 dimensions, and those before had 2"),
        ({"cams": [1, 2]}, "cams were given with some batches"),
        ({"names": ["a", "b"]}, "names were given with some batches"),
    ],
)
def test_a_batch_that_does_not_fit_is_not_added(change: dict[str, Any], said: str) -> None:
    metric = sb.RetrievalMetric()
    metric.update(torch.eye(2), [1, 2], role="query")
    with pytest.raises(sb.UsageError, match=said):
        metric.update(**{"embeddings": torch.eye(2), "ids": [1, 2], "role": "query", **change})
    assert len(metric) == 2


def test_options_are_those_of_score() -> None:
    metric = sb.RetrievalMetric(distractor_ids=0, top_k=1)
    metric.update(torch.eye(2), [1, 0], role="query")
    metric.update(torch.eye(2), [1, 0], role="gallery")
    assert metric.compute()["rank1"] == 0.5
    assert len(metric.result().top) == 2


def test_an_option_that_score_lacks_is_refused_before_the_loop() -> None:
    with pytest.raises(sb.UsageError, match="no option 'topk'"):
        sb.RetrievalMetric(topk=3)
    with pytest.raises(sb.UsageError, match="no option 'query_ids'"):
        sb.RetrievalMetric(query_ids=[1])


def test_numbers_beyond_float32_are_refused_by_name(recwarn: pytest.WarningsRecorder) -> None:
    metric = sb.RetrievalMetric()
    with pytest.raises(sb.UsageError, match="beyond float32"):
        metric.update(np.full((1, 2), 1e39), ids=[1], role="query")
    assert not recwarn.list


def test_an_empty_batch_changes_nothing() -> None:
    metric = sb.RetrievalMetric()
    nobody = np.zeros(0, int)
    metric.update(torch.empty(0, 3), nobody, nobody, role="query", names=[])
    for role in ("query", "gallery"):
        metric.update(np.eye(3, dtype=np.float32), [1, 2, 3], role=role)  # type: ignore[arg-type]
    metric.update(np.empty((0, 3), np.float32), nobody, role="gallery")
    assert len(metric) == 6
    assert metric.compute()["rank1"] == 1
    with pytest.raises(sb.UsageError):
        metric.update(torch.empty(0, 3), [1], role="query")
