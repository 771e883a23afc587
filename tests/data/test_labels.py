"""Label 0 is a person, but where a benchmark says otherwise; labels below 0 are nobody's everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.inspect.stats import part_of
from sysu30k_bench.data.inspect.survey import stats_of, survey
from sysu30k_bench.data.naming.names import JUNK, NOT_ASKED_FOR
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.protocol import Relevance, relevance
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.data.subset import thin_distractors
from tests.data.test_benchmarks import MARKET, caviar, cuhk01, msmt17, viper, write


def found(test_set: TestSet) -> Relevance:
    query, gallery = test_set.query, test_set.gallery
    return relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)


def test_person_0_of_msmt17_is_a_person(tmp_path: Path) -> None:
    root = msmt17(tmp_path, "train", "test")
    test_set = open_test_set(root)
    assert 0 in test_set.query.person_ids
    assert found(test_set).match_counts.tolist() == [1, 1]
    parts = {part.role: part for part in stats_of(survey(root)).parts}
    assert (parts["gallery"].identities, parts["gallery"].distractors) == (2, 0)
    assert (parts["query"].identities, parts["query"].distractors) == (2, 0)


@pytest.mark.parametrize("split", range(1, 11))
def test_person_0_of_viper_has_a_match_in_every_draw(tmp_path: Path, split: int) -> None:
    test_set = open_test_set(viper(tmp_path), split=split)
    assert found(test_set).match_counts.tolist() == [1] * 10


def test_person_0_of_the_other_small_ones(tmp_path: Path) -> None:
    for make, names in ((cuhk01, "campus/0000{:03d}.png"), (caviar, "CAVIAR4REID/0000{:03d}.jpg")):
        root = write(make(tmp_path / make.__name__), *(names.format(number) for number in range(1, 21)))
        drawn = [open_test_set(root, split=split) for split in range(1, 11)]
        tested = [test_set for test_set in drawn if 0 in test_set.query.person_ids]
        assert tested
        for test_set in tested:
            counts = found(test_set).match_counts
            assert (counts[test_set.query.person_ids == 0] > 0).all()


def test_0_of_market1501_is_nobody_even_as_a_query(tmp_path: Path) -> None:
    root = write(tmp_path, *MARKET, "query/0000_c3s1_000001_00.jpg", "query/-1_c3s1_000001_00.jpg")
    test_set = open_test_set(root)
    matched = found(test_set).match_counts
    assert test_set.query.person_ids.tolist() == [JUNK, NOT_ASKED_FOR, 1, 2]
    assert matched.tolist() == [0, 0, 1, 1]
    assert test_set.gallery.person_ids.tolist() == [-1, 0, 1, 2]  # the labels that its fingerprint has always had
    query, gallery = part_of(test_set.query), part_of(test_set.gallery)
    assert (query.identities, query.distractors, query.junk) == (2, 1, 1)
    assert (gallery.identities, gallery.distractors, gallery.junk) == (2, 1, 1)


def test_0_of_market1501_has_the_fingerprint_that_it_had(tmp_path: Path) -> None:
    test_set = open_test_set(write(tmp_path, *MARKET))
    assert test_set.query.fingerprint == "1bdec4cd8a1c7665f9bb8c1c7c61c7c451d5370e36e6e950d465767eb3807d7e"
    assert test_set.gallery.fingerprint == "4d957210ec8b9896d1ddc531d1cbf903ac24f3b71ce93d3b279e80cc46c4dd55"


def test_queries_that_show_nobody_keep_no_distractor_from_being_one(twin: Path) -> None:
    whole = open_test_set(twin)
    table = whole.query.table.copy()
    table.loc[0, "person_id"] = -1000
    part = thin_distractors(replace(whole, query=replace(whole.query, table=table)), 7)
    assert part.not_official[-1] == "--distractors: 7 of 61 distractors"  # the first query's match is one, too


def test_labels_below_0_match_nothing() -> None:
    labels = np.array([-1000, -2, -1, 0])
    there = relevance(labels, np.full(4, 1), labels, np.full(4, 2))
    assert there.match_query.tolist() == [3]
    assert there.match_position.tolist() == [3]
    assert there.junk_for_all.tolist() == [False, False, True, False]
    assert there.ranked_counts.tolist() == [3, 3, 3, 3]
