"""Top lists without their matches, and what is exact where a list ends, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sysu30k_bench.metrics.open_set.searches import Searches
from sysu30k_bench.metrics.open_set.smaller import InGallery, OtherLists, in_smaller_gallery, other_lists, true_pairs_at

STEPS = 1e12


def lists_of(scores: list[list[float]], reach: list[float], others: list[int]) -> OtherLists:
    where = np.repeat(np.arange(len(scores)), [len(row) for row in scores])
    return OtherLists(where, np.rint(np.concatenate(scores) * STEPS), np.array(reach) * STEPS, np.array(others))


def searches_with(mated: list[float]) -> Searches:
    return Searches(np.arange(len(mated)).astype(str), np.array(mated), np.full(len(mated), 0.5), {})


def test_lists_lose_their_matches_and_reach_down_to_their_last_row() -> None:
    """Rows in any order; `a` ends in a match, `b` lists all its others, `c` all its images, `d` and `e` nothing."""
    rows = [
        ("b", 1, 0.9, 0), ("a", 2, 0.6, 0), ("x", 1, 0.99, 0), ("a", 3, 0.5, 1), ("c", 2, 0.2, 1),
        ("a", 1, 0.8, 0), ("c", 1, 0.3, 0), ("b", 2, 0.4, 0), ("x", 2, 0.01, 0),
    ]  # fmt: skip
    top = pd.DataFrame(rows, columns=["query", "place", "score", "match"])
    ranked, matches = np.array([9, 3, 2, 4, 1]), np.array([2, 1, 1, 1, 1])
    found = other_lists(top, np.array(list("abcde")), ranked, matches)
    assert found.query.tolist() == [0, 0, 1, 1, 2]
    assert found.step.tolist() == [800e9, 600e9, 900e9, 400e9, 300e9]
    assert found.reach.tolist() == [500e9, -math.inf, -math.inf, math.inf, -math.inf]
    assert found.others.tolist() == [7, 2, 1, 3, 0]


def test_a_list_as_long_as_the_gallery_is_whole_even_where_fewer_others_are_listed_than_counted() -> None:
    """Two of the three listed rows are matches, of which the ranking knows one."""
    top = pd.DataFrame({"query": ["a"] * 3, "place": [1, 2, 3], "score": [0.9, 0.8, 0.7], "match": [1, 0, 1]})
    assert other_lists(top, np.array(["a"]), np.array([3]), np.array([1])).reach.tolist() == [-math.inf]


def test_a_rate_of_false_pairs_is_exact_down_to_the_end_of_the_shortest_list() -> None:
    """Six false pairs; the second query's list holds two of its three, and ends at 0.5."""
    lists = lists_of([[0.8, 0.3, 0.2], [0.9, 0.5]], [-math.inf, 0.5], [3, 3])
    matched = np.array([0.5, 0.5 + 1e-12, 0.85, 0.95])
    assert true_pairs_at(lists, matched, 1 / 6) == 0.5
    assert true_pairs_at(lists, matched, 2 / 6) == 0.75
    assert true_pairs_at(lists, matched, 3 / 6) == (
        "the lists end above it: they are exact up to a rate of 0.33; search again with a larger --top-k"
    )
    assert true_pairs_at(lists, matched, 0.1) == "a rate of 0.1 needs 10 false pairs; there are 6"


def test_at_a_rate_of_one_every_pair_is_accepted() -> None:
    lists = lists_of([[0.8, 0.3], [0.9]], [-math.inf, -math.inf], [2, 1])
    assert true_pairs_at(lists, np.array([-5.0, 0.1]), 1.0) == 1


def test_a_query_whose_only_other_image_is_not_listed_bounds_what_is_known() -> None:
    lists = lists_of([[0.8, 0.3], []], [-math.inf, 0.9], [2, 1])
    assert "exact up to a rate of 0;" in str(true_pairs_at(lists, np.array([0.5]), 0.4))


def ladder(short: float = -math.inf) -> OtherLists:
    """Twenty queries with two others each: one from 0.99 down to 0.80, one at 0.1."""
    scores = [[round(0.99 - n / 100, 2), 0.1] for n in range(20)]
    return lists_of(scores, [short] + [-math.inf] * 19, [2] * 20)


def test_half_a_gallery_raises_half_the_alarms() -> None:
    """With one of two others drawn, c queries above the threshold alarm c / 2 times: at a rate of 1/2 all may be."""
    searches = searches_with([0.1, 0.1 + 1e-12, 0.5, 0.9])
    found = in_smaller_gallery(ladder(), searches, 0.5, 2)
    assert isinstance(found, InGallery)
    assert (found.gallery, found.fpir, found.fnir) == pytest.approx((2, 0.5, 0.25))
    assert found.threshold == pytest.approx(0.1 + 1e-12, abs=1e-14)
    whole = in_smaller_gallery(ladder(), searches, 0.5, 3)
    assert isinstance(whole, InGallery)
    assert (whole.fpir, whole.threshold) == pytest.approx((0.5, 0.89 + 1e-12), abs=1e-14)


def test_lists_that_end_at_the_threshold_are_long_enough_and_above_it_say_how_far_they_go() -> None:
    searches = searches_with([0.5])
    assert in_smaller_gallery(ladder(0.89), searches, 0.5, 3) == in_smaller_gallery(ladder(), searches, 0.5, 3)
    assert in_smaller_gallery(ladder(0.9), searches, 0.5, 3) == (
        "the lists end above the threshold of FPIR 50 % among 3 images: they are exact up to an FPIR of 45 % there; "
        "search again with a larger --top-k"
    )
    assert "exact up to an FPIR of 90 % there" in str(in_smaller_gallery(ladder(0.81), searches, 0.96, 3))
    assert "exact up to an FPIR of 0 % there" in str(in_smaller_gallery(ladder(0.99), searches, 0.5, 3))


def test_queries_without_other_images_are_no_searches() -> None:
    lists, searches = ladder(), searches_with([0.5])
    more = lists._replace(reach=np.append(lists.reach, -math.inf), others=np.append(lists.others, 0))
    assert in_smaller_gallery(more, searches, 0.5, 3) == in_smaller_gallery(lists, searches, 0.5, 3)


def test_a_query_with_one_other_image_allows_a_gallery_of_two_and_no_more() -> None:
    lists = lists_of([[0.9 - n / 100] for n in range(20)], [-math.inf] * 20, [1] * 20)
    found = in_smaller_gallery(lists, searches_with([0.5]), 0.5, 2)
    assert isinstance(found, InGallery)
    assert (found.fpir, found.threshold) == pytest.approx((0.5, 0.8 + 1e-12), abs=1e-14)
    for gallery in (1, 3):
        assert in_smaller_gallery(lists, searches_with([0.5]), 0.5, gallery) == (
            f"a gallery of {gallery} is not a part of the searched one"
        )


def test_a_rate_of_one_accepts_everything() -> None:
    found = in_smaller_gallery(ladder(), searches_with([-9.0]), 1.0, 3)
    assert isinstance(found, InGallery)
    assert (found.fpir, found.fnir) == (1, 0)


def test_where_the_highest_scores_tie_the_threshold_lies_above_all_of_them() -> None:
    lists = lists_of([[0.7, 0.1]] * 20, [-math.inf] * 20, [2] * 20)
    found = in_smaller_gallery(lists, searches_with([0.7, 0.8]), 0.5, 3)
    assert isinstance(found, InGallery)
    assert (found.fpir, found.fnir, found.threshold) == pytest.approx((0, 0.5, 0.7 + 1e-12), abs=1e-14)
