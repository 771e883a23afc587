from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.metrics.open_set.rates import fnir, threshold_at
from sysu30k_bench.metrics.open_set.smaller import InGallery, OtherLists, in_smaller_gallery, other_lists, true_pairs_at
from tests.metrics.open_set import oracle

QUERIES, GALLERY = 30, 9


def made(seed: int, k: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray, OtherLists]:
    """Scores of the others (Q, 8), scores of the matches (Q,), and the lists that k places leave."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.4, 0.1, (QUERIES, GALLERY))
    scores = scores.round(1) if ties else scores
    matched = rng.integers(0, GALLERY, QUERIES)
    scores[np.arange(QUERIES), matched] += 0.15
    top = oracle.top_lists(scores, matched, k)
    keys = np.array([f"q{n}" for n in range(QUERIES)])
    lists = other_lists(top, keys, np.full(QUERIES, GALLERY), np.ones(QUERIES, int))
    mates = scores[np.arange(QUERIES), matched]
    others = np.array([np.delete(row, place) for row, place in zip(scores, matched, strict=True)])
    return others, mates, lists


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("gallery", [2, 4, 9])
def test_rates_in_smaller_galleries_are_the_mean_over_every_part(gallery: int, ties: bool) -> None:
    others, mates, lists = made(1, GALLERY, ties=ties)
    searches = oracle.searches(mates, others.max(axis=1))
    found = in_smaller_gallery(lists, searches, 0.4, gallery)
    assert isinstance(found, InGallery)
    assert found.fpir == pytest.approx(oracle.all_parts_rate(others, found.threshold, gallery - 1))
    assert found.fpir <= 0.4
    assert oracle.all_parts_rate(others, found.threshold - 1e-12, gallery - 1) > 0.4  # it is the least
    assert found.fnir == fnir(mates, found.threshold)


def test_at_the_whole_gallery_it_is_the_threshold_of_the_whole() -> None:
    others, mates, lists = made(2, GALLERY)
    searches = oracle.searches(mates, others.max(axis=1))
    found = in_smaller_gallery(lists, searches, 0.4, GALLERY)
    assert isinstance(found, InGallery)
    assert found.threshold == threshold_at(others.max(axis=1), 0.4)


def test_short_lists_give_the_same_numbers_or_say_that_they_do_not_reach() -> None:
    refused = 0
    for seed in range(12):
        others, mates, whole = made(seed, GALLERY)
        searches = oracle.searches(mates, others.max(axis=1))
        for k in range(1, GALLERY):
            for gallery in (2, 5, 9):
                found = in_smaller_gallery(made(seed, k)[2], searches, 0.4, gallery)
                if isinstance(found, str):
                    refused += 1
                    assert "larger --top-k" in found
                else:
                    assert found == in_smaller_gallery(whole, searches, 0.4, gallery)
    assert 0 < refused < 12 * 8 * 3


def test_what_is_no_part_and_what_rests_on_too_few() -> None:
    others, mates, lists = made(3, GALLERY)
    searches = oracle.searches(mates, others.max(axis=1))
    assert "is not a part" in str(in_smaller_gallery(lists, searches, 0.4, GALLERY + 1))
    assert "needs 100 non-mated searches" in str(in_smaller_gallery(lists, searches, 0.1, 4))


@pytest.mark.parametrize("ties", [False, True])
def test_true_pairs_at_a_rate_of_false_pairs(ties: bool) -> None:
    reached = 0
    for k in (2, 5, GALLERY):
        others, mates, lists = made(4, k, ties=ties)
        for rate in (0.005, 0.02, 0.1, 0.3):
            found = true_pairs_at(lists, mates, rate)
            threshold = oracle.least_threshold(others.ravel().tolist(), rate)
            if isinstance(found, str):
                assert k < GALLERY
            else:
                reached += 1
                assert found == pytest.approx(1 - oracle.misses(mates.tolist(), threshold))
    assert reached >= 6
    assert "needs 1,000 false pairs" in str(true_pairs_at(lists, mates, 0.001))
