"""Rows that correct others: which of them may."""

from __future__ import annotations

from pathlib import Path

import pytest

from sysu30k_bench.board.checks.corrections import correction_faults
from sysu30k_bench.board.rows import Row, parse_row

DF = Path(__file__).parents[2] / "leaderboard" / "rows" / "df.json"


def rows_of(**wanted: dict[str, object]) -> dict[str, Row]:
    row = parse_row(DF.read_bytes())
    plain = {"date": "2026-01-01", "corrects": None, "claimed_by": "a"}
    return {name: row.model_copy(update=plain | values | {"id": name}) for name, values in wanted.items()}


@pytest.mark.parametrize("date", ["2026-01-01", "2026-02-01"])
def test_a_row_corrects_an_older_one_of_the_same_person(date: str) -> None:
    assert correction_faults(rows_of(one={}, two={"corrects": "one", "date": date})) == []
    assert correction_faults(rows_of(one={"date": None}, two={"corrects": "one", "date": date})) == []


@pytest.mark.parametrize(
    ("two", "fault"),
    [
        ({"corrects": "gone"}, "corrects gone, which is no other row"),
        ({"corrects": "two"}, "corrects two, which is no other row"),
        ({"corrects": "one", "claimed_by": "b"}, "corrects one, which another person claimed"),
        ({"corrects": "one", "date": "2025-12-31"}, "corrects one, which is not older"),
        ({"corrects": "one", "date": None}, "corrects one, which is not older"),
    ],
)
def test_any_other_row_does_not(two: dict[str, object], fault: str) -> None:
    assert correction_faults(rows_of(one={}, two=two)) == [("two", fault)]


def test_a_row_is_corrected_once_and_not_by_the_one_that_it_corrects() -> None:
    twice = rows_of(one={}, two={"corrects": "one"}, three={"corrects": "one"})
    assert correction_faults(twice) == [("three", "corrects one, as two does")]
    chain = rows_of(one={}, two={"corrects": "one"}, three={"corrects": "two"})
    assert correction_faults(chain) == []
    circle = rows_of(one={"corrects": "two"}, two={"corrects": "one"})
    assert correction_faults(circle) == [
        ("one", "corrects two, which corrects it"),
        ("two", "corrects one, which corrects it"),
    ]
