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
ELSEWHERE = {
    "W-MGN": (29.5, "https://arxiv.org/abs/1904.03845 (the paper's figure of results on SYSU-30k)"),
    "Unnamed self-supervised method": (27.5, "https://github.com/wanggrun/SYSU-30k (README, news of 2022-05-14)"),
}


def test_eleven_rows_as_the_readme_has_them_and_two_from_elsewhere() -> None:
    found = {row.method: round(row.rank1 * 100, 1) for row in published_rows()}
    assert found == README_OF_THE_AUTHORS | {name: figure for name, (figure, _) in ELSEWHERE.items()}
    sources = {row.method: row.source for row in published_rows() if row.method in ELSEWHERE}
    assert sources == {name: source for name, (_, source) in ELSEWHERE.items()}


def test_rows_name_no_private_person() -> None:
    (iics,) = (row for row in published_rows() if row.id == "iics")
    assert iics.claimed_by == "a third party, issue 11"
    others = {row.claimed_by for row in published_rows() if row.id != "iics"}
    assert others == {"the benchmark's authors"}
    folder = Path(__file__).parents[2] / "leaderboard"
    assert not [path for path in folder.rglob("*.*") if path.is_file() and "(user " in path.read_text("utf-8")]


def test_every_row_says_that_it_is_only_reported_and_by_whom() -> None:
    for row in published_rows():
        assert (row.status, row.n) == ("reported", 1000)
        assert row.source
        assert row.claimed_by
        assert row.weights
        assert row.date
        assert (row.paper is None) == (row.id == "unnamed_ssl")


def test_files_are_named_by_their_id() -> None:
    for path in (Path(__file__).parents[2] / "leaderboard/rows").glob("*.json"):
        assert json.loads(path.read_text())["id"] == path.stem


@pytest.mark.parametrize(
    ("rank1", "above", "below"),
    [
        (0.25, ["DGL"], ["MGN"]),
        (0.9, [], ["IICS"]),
        (0.0, ["DF"], []),
        (0.3, ["IICS"], ["W-MGN"]),
        (0.269, ["Unnamed self-supervised method"], ["DGL"]),
    ],
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
        {"date": "2021-13"},
        {"date": "2021-02-30"},
        {"date": "yesterday"},
        {"date": "\u0662\u0660\u0662\u0661"},
        {"date": "2021-09-17\n"},
        {"id": "con"},
        {"id": "com1"},
        {"method": "-_ "},
        {"paper": {"title": "t", "year": 99999}},
        {"paper": {"title": "t", "url": "https://arxiv.org@evil.example/abs/1"}},
        {"paper": {"title": "t", "url": "https://\u0430rxiv.org/abs/1"}},
        {"paper": {"title": "t", "url": "https://arxiv.org/abs/\u0661"}},
        {"source": "code: https://github.com@evil.example/x"},
    ],
)
def test_hostile_rows_are_refused(change: dict[str, object]) -> None:
    row = published_rows()[0].model_dump()
    with pytest.raises(ValidationError):
        Row.model_validate({**row, **change})
