"""The fixed part of the distractors: the same everywhere, nested, with every match in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.subset import part_of, thin_distractors
from sysu30k_bench.errors import UsageError


def test_parts_are_nested_and_keep_every_match(twin: Path) -> None:
    whole = open_test_set(twin)
    before: set[str] = set()
    for count in (1, 7, 30, 59):
        part = thin_distractors(whole, count)
        keys = part.gallery.keys
        others = {key for key in keys if "0000others" in key}
        assert len(others) == count
        assert before <= others
        before = others
        assert len(keys) == 40 + count
        assert keys == [key for key in whole.gallery.keys if key in set(keys)]
        assert part.query is whole.query
        query, gallery = part.query, part.gallery
        found = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
        assert np.all(found.match_counts == 1)
        assert part.whole_gallery == 100
        assert part.not_official[-1] == f"--distractors: {count} of 60 distractors"


def test_a_part_that_is_the_whole_is_refused(twin: Path) -> None:
    for count in (60, 10_000):
        with pytest.raises(UsageError, match="the gallery has 60"):
            thin_distractors(open_test_set(twin), count)


def test_junk_is_no_distractor_and_stays(twin: Path) -> None:
    whole = open_test_set(twin)
    table = whole.gallery.table.copy()
    others = table.index[table["key"].str.contains("0000others")]
    table.loc[others[:25], "person_id"] = -1
    part = thin_distractors(replace(whole, gallery=replace(whole.gallery, table=table)), 10)
    assert int((part.gallery.person_ids == -1).sum()) == 25
    assert len(part.gallery) == 40 + 25 + 10
    assert part.not_official[-1] == "--distractors: 10 of 35 distractors"


def test_one_kind_of_part_at_a_time(twin: Path) -> None:
    whole = open_test_set(twin)
    assert part_of(whole, None, None) is whole
    assert len(part_of(whole, 5, None).query) == 5
    assert len(part_of(whole, None, 5).query) == 40
    with pytest.raises(UsageError, match="exclude each other"):
        part_of(whole, 5, 5)


def test_distractors_of_market1501_are_all_that_match_no_query(openpeople: Path) -> None:
    whole = open_test_set(openpeople)
    others = int((~np.isin(whole.gallery.person_ids, whole.query.person_ids)).sum())
    if others == 0:
        with pytest.raises(UsageError, match="the gallery has 0"):
            thin_distractors(whole, 1)
    else:
        assert len(thin_distractors(whole, 1).gallery) == len(whole.gallery) - others + 1
