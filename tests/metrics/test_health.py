from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.metrics.health import Health, effective_rank, examine
from tests.conftest import unit_rows


@pytest.mark.parametrize(("count", "dimension"), [(50, 8), (8, 50)])
def test_effective_rank_of_known_spectra(count: int, dimension: int) -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((count, 4)) - 0)
    left -= left.mean(axis=0)
    left, _ = np.linalg.qr(left)
    right, _ = np.linalg.qr(rng.standard_normal((dimension, 4)))
    assert effective_rank(left @ np.diag([1.0, 1, 1, 1]) @ right.T) == pytest.approx(4)
    shares = np.array([0.7, 0.2, 0.1, 0.0])
    entropy = -(shares[:3] * np.log(shares[:3])).sum()
    assert effective_rank(left @ np.diag(np.sqrt(shares)) @ right.T) == pytest.approx(np.exp(entropy), rel=1e-6)


def test_limits() -> None:
    rng = np.random.default_rng(1)
    assert effective_rank(np.repeat(unit_rows(rng, 1, 16), 30, 0)) == 0
    line = np.linspace(0, 1, 30)[:, None] * unit_rows(rng, 1, 16)
    assert effective_rank(line) == pytest.approx(1, abs=1e-6)
    assert effective_rank(unit_rows(rng, 500, 16)) > 15


def test_healthy_embeddings_raise_no_warning() -> None:
    rng = np.random.default_rng(2)
    rows = unit_rows(rng, 40, 32)
    health = examine(rows, np.arange(40)[:, None], np.full((40, 1), 0.7))
    assert not health.warnings
    assert health.mean_cosine == pytest.approx((rows @ rows.T)[~np.eye(40, dtype=bool)].mean(), abs=1e-6)


@pytest.mark.parametrize(("queries", "share"), [(2, 0.0), (19, 0.0), (20, 1.0)])
def test_few_queries_make_no_hub(queries: int, share: float) -> None:
    """Two queries of one person have one best image, and that says nothing."""
    rows = unit_rows(np.random.default_rng(4), queries, 32)
    health = examine(rows, np.zeros((queries, 1), np.int64), np.full((queries, 1), 0.7))
    assert health.hub_share == share
    assert any("a hub" in warning for warning in health.warnings) == (share > 0)


def test_collapse_hubs_and_shared_images_are_told() -> None:
    rng = np.random.default_rng(3)
    rows = unit_rows(rng, 1, 32) + 1e-4 * rng.standard_normal((40, 2)) @ rng.standard_normal((2, 32))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    health = examine(rows, np.array([[5]] * 30 + [[7]] * 10), np.array([[1.0]] * 3 + [[0.9]] * 37))
    assert (health.hub_share, health.same_image) == (0.75, 3)
    assert [warning.split(":")[0] for warning in health.warnings] == [
        "the embeddings may have collapsed",
        "one gallery image is the best match of 75% of the queries",
        "3 queries have a gallery image with the same embedding",
    ]
    assert examine(rows[:1], np.array([[-1]]), np.array([[-np.inf]])) == Health(0.0, 0.0, 0.0, 0)
