"""Bags: the rule, the file, both readings of its labels, against a naive reading of the JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sysu30k_bench.data.weak.bag_file import BagFile, compare_offsets, fitting_offset, read_bag_file
from sysu30k_bench.data.weak.bags import bags_by_rule, equal_bags
from sysu30k_bench.data.weak.training_list import TrainingList, read_train_txt
from sysu30k_bench.errors import DataError, IntegrityError
from tests.data.weak.sets import bag_entries, write_training_set

PUBLISHED = {9: [3], 10: [2, 3, 4], 11: [1, 2, 3, 4, 5]}


def read(path: Path, entries: Any) -> BagFile:
    path.write_text(json.dumps(entries))
    return read_bag_file(path)


def listed(tmp_path: Path, identities: int) -> TrainingList:
    return read_train_txt(write_training_set(tmp_path / "set", identities) / "meta" / "train.txt")


def test_the_rule_gives_the_published_examples_and_number() -> None:
    bags = bags_by_rule(28_310, id_offset=0)
    assert len(bags) == 84_930
    for bag, labels in PUBLISHED.items():
        assert bags.folders_of(bag).tolist() == labels
    assert [bags.folders_of(bag).tolist() for bag in range(3)] == [[0], [0, 1], [0, 1, 2]]
    assert [bags.folders_of(bag).tolist() for bag in (84_927, 84_928, 84_929)] == [
        [28309],
        [28308, 28309],
        [28307, 28308, 28309],
    ]
    assert bags_by_rule(28_310).identities.tolist() == list(range(1, 28_311))


@pytest.mark.parametrize("identities", [1, 2, 3, 7])
def test_the_file_is_the_rule_with_repeated_labels_counted_once(tmp_path: Path, identities: int) -> None:
    file = read(tmp_path / "b.json", bag_entries(identities))
    for offset in (0, 1):
        bags = file.bags(offset)
        assert equal_bags(bags, bags_by_rule(identities, offset)).all()
    entries = bag_entries(identities)
    naive = sum(len(e["BagLabel"]) - len(set(e["BagLabel"])) for e in entries)  # type: ignore[arg-type]
    assert file.repeated == 2 * naive
    assert any("more than once" in note for note in file.bags(1).notes) == bool(naive)


def test_sizes_and_rows_are_those_of_a_naive_reading(tmp_path: Path) -> None:
    images = listed(tmp_path, 6)
    file = read(tmp_path / "b.json", bag_entries(6))
    for offset in (0, 1):
        bags = file.bags(offset)
        keys = images.keys(range(len(images)))
        for place, entry in enumerate(bag_entries(6)):
            folders = {f"{label + offset:010d}" for label in entry["BagLabel"]}  # type: ignore[attr-defined]
            expected = sorted(number for number, key in enumerate(keys) if key[:10] in folders)
            assert sorted(bags.rows_of(place, images).tolist()) == expected
            assert bags.sizes(images)[place] == len(expected)
    table = file.bags(1).table(images)
    assert table.columns.tolist() == ["bag", "centre", "radius", "identities", "images"]
    assert table.iloc[5].tolist() == [5, 1, 2, 4, 1 + 2 + 3 + 4]


def test_the_reading_that_fits_is_found(tmp_path: Path) -> None:
    images = listed(tmp_path, 6)
    file = read(tmp_path / "b.json", bag_entries(6))
    zero, one = compare_offsets(file, images.folders)
    assert (zero.missing, zero.unnamed, zero.literal) == ([0], [6], 18)
    assert (one.missing, one.unnamed, one.literal) == ([], [], 0)
    assert fitting_offset([zero, one]) == 1
    literal = [{**entry, "BagLabel": [label + 1 for label in entry["BagLabel"]]} for entry in bag_entries(6)]  # type: ignore[attr-defined]
    reports = compare_offsets(read(tmp_path / "c.json", literal), images.folders)
    assert fitting_offset(reports) == 0
    assert fitting_offset(compare_offsets(file, np.array([100]))) is None


def test_bags_that_differ_from_the_rule_are_told_by_number(tmp_path: Path) -> None:
    entries = bag_entries(5)[::-1]
    entries[3]["BagLabel"] = [0, 4]
    file = read(tmp_path / "b.json", [*entries, {**GOOD, "BagID": "bag0000000099"}])
    same = equal_bags(file.bags(1), bags_by_rule(5))
    assert [int(number) for number in file.number[~same]] == [11, 99]


GOOD: dict[str, Any] = {"BagLabel": [3], "BagID": "bag0000000009", "BagImages": ["0000000003/*"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"BagLabel": []}, "BagLabel"),
        ({"BagLabel": [-1]}, "greater than or equal to 0"),
        ({"BagLabel": [1.5]}, "integer"),
        ({"BagLabel": ["3"]}, "integer"),
        ({"BagLabel": [10**30]}, "BagLabel"),
        ({"BagLabel": None}, "array"),
        ({"BagID": "9"}, "BagID"),
        ({"BagID": "bag" + "9" * 40}, "BagID"),
        ({"BagImages": ["../../etc/*"]}, "BagImages"),
        ({"BagImages": "0000000003/*"}, "BagImages"),
        ({"Extra": 1}, "Extra"),
    ],
)
def test_bad_entries_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(IntegrityError, match=r"(?m)1 fault$") as caught:
        read(tmp_path / "b.json", [GOOD, {**GOOD, "BagID": "bag1", **change}])
    assert any(said in detail for detail in caught.value.details)
    assert all(detail.startswith("1") for detail in caught.value.details)


@pytest.mark.parametrize("content", ["", "{}", "[", "null", '{"BagLabel": [1]}', "[NaN]", "[" * 100_000])
def test_files_that_are_no_list_of_bags(tmp_path: Path, content: str) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(IntegrityError, match="not a list of bags"):
        read_bag_file(tmp_path / "b.json")


def test_empty_missing_and_doubled(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="lists no bag"):
        read(tmp_path / "b.json", [])
    with pytest.raises(IntegrityError, match="listed twice") as caught:
        read(tmp_path / "b.json", [GOOD, GOOD])
    assert caught.value.details == ["bag0000000009"]
    with pytest.raises(DataError, match="cannot read"):
        read_bag_file(tmp_path / "nowhere.json")
