from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from sysu30k_bench.board.rows import Row, neighbours, published_rows

README_OF_THE_AUTHORS = {
    "DARI": 11.2, "DF": 10.3, "ResNet-50": 20.1, "Local-CNN": 23.0, "MGN": 23.6, "IICS": 36.0, "DGL": 26.9,
    "SimCLR": 10.9, "MoCo v2": 11.6, "BYOL": 12.7, "Triplet": 14.8,
}  # fmt: skip


def test_eleven_rows_as_published() -> None:
    assert {row.method: round(row.rank1 * 100, 1) for row in published_rows()} == README_OF_THE_AUTHORS


def test_every_row_says_that_it_is_only_reported_and_by_whom() -> None:
    for row in published_rows():
        assert (row.status, row.n) == ("reported", 1000)
        assert row.source
        assert row.claimed_by
        assert row.weights
        assert row.paper is not None


def test_files_are_named_by_their_id() -> None:
    for path in (Path(__file__).parents[2] / "leaderboard/rows").glob("*.json"):
        assert json.loads(path.read_text())["id"] == path.stem


@pytest.mark.parametrize(
    ("rank1", "above", "below"),
    [(0.25, ["DGL"], ["MGN"]), (0.9, [], ["IICS"]), (0.0, ["DF"], []), (0.269, ["IICS"], ["DGL"])],
)
def test_neighbours(rank1: float, above: list[str], below: list[str]) -> None:
    up, down = neighbours(rank1, 1)
    assert ([row.method for row in up], [row.method for row in down]) == (above, below)


@pytest.mark.parametrize(
    "change",
    [
        {"rank1": 1.5},
        {"rank1": "0.3"},
        {"rank1": float("nan")},
        {"extra": 1},
        {"id": "../x"},
        {"status": "sure"},
        {"n": 0},
    ],
)
def test_hostile_rows_are_refused(change: dict[str, object]) -> None:
    row = published_rows()[0].model_dump()
    with pytest.raises(ValidationError):
        Row.model_validate({**row, **change})
