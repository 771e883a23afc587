from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sysu30k_bench.metrics.health import SAME_IMAGE, Health, effective_rank, examine, hubness
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


def test_two_queries_have_one_cosine_and_twenty_without_any_image_no_hub() -> None:
    two = examine(np.array([[1.0, 0.0], [0.6, 0.8]]), np.zeros((2, 1), int), np.zeros((2, 1)))
    assert two.mean_cosine == pytest.approx(0.6)
    rows = unit_rows(np.random.default_rng(5), 20, 8)
    assert examine(rows, np.full((20, 1), -1), np.full((20, 1), -np.inf)).hub_share == 0


def test_a_best_score_of_exactly_the_limit_is_the_same_image() -> None:
    scores = np.array([[SAME_IMAGE], [np.nextafter(SAME_IMAGE, 0)], [1.0]])
    assert examine(np.eye(3), np.arange(3)[:, None], scores).same_image == 2


def test_norms_above_one_by_rounding_make_no_cosine_above_one() -> None:
    assert examine(np.full((3, 1), 1 + 1e-7), np.zeros((3, 1), int), np.zeros((3, 1))).mean_cosine == 1


def test_half_precision_is_summed_in_double() -> None:
    """A float16 sum of ones ends at 2048, and a float16 mean is off by more than these rows differ."""
    ones = np.tile(np.array([1, 0], np.float16), (3000, 1))
    assert examine(ones, np.zeros((3000, 1), int), np.zeros((3000, 1))).mean_cosine == 1
    rows = (0.3 + 2e-3 * np.random.default_rng(6).standard_normal((200, 16))).astype(np.float16)
    assert effective_rank(rows) == pytest.approx(effective_rank(rows.astype(np.float64)), rel=1e-9)


def test_rows_that_differ_by_rounding_alone_are_all_the_same() -> None:
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((100, 16)) / 4
    row = unit_rows(rng, 1, 16).astype(np.float64)
    assert effective_rank(row + 3e-6 * noise) == 0
    assert effective_rank(row + 1e-3 * noise) > 10


def test_hubness_by_hand() -> None:
    top = pd.DataFrame({"query": list("aabbcc"), "place": [1, 2] * 3, "gallery": ["y", "x", "x", "z", "x", "w"]})
    found = hubness(top)
    assert found is not None
    assert (found.reach, found.most, found.key) == (2, 3, "x")
    assert found.skewness == pytest.approx(np.mean([(n - 1.5) ** 3 for n in (3, 1, 1, 1)]) / 0.75**1.5)
    even = hubness(top.iloc[[0, 1]])
    assert even is not None
    assert even.skewness == 0
    assert hubness(top.iloc[:0]) is None
