"""Difficulty of queries, by hand and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sysu30k_bench.board.difficulty import difficulty
from sysu30k_bench.errors import DataError
from sysu30k_bench.results.ranked_run import RankedRun, read_run
from tests.board.made import published_board
from tests.conftest import Outcome
from tests.results.test_compare import write_ranking


def runs(folder: Path, *ranks: list[int], gallery: int = 1000) -> dict[str, RankedRun]:
    return {
        f"row{number}": read_run(write_ranking(folder / str(number), one, gallery=gallery))
        for number, one in enumerate(ranks)
    }


def test_by_hand(tmp_path: Path) -> None:
    found = difficulty(runs(tmp_path, [1, 1, 7, 900, 0], [1, 3, 1, 800, 0], [1, 9, 4, 700, 0]))
    assert found.rows == ["row0", "row1", "row2"]
    assert found.histogram == [(0, 2), (1, 2), (2, 0), (3, 1)]
    assert (found.only("row0"), found.only("row1"), found.only("row2")) == (["q1"], ["q2"], [])
    assert next(iter(found.unsolved.index)) == "q3"
    assert set(found.unsolved.index) == {"q3", "q4"}
    assert found.table.loc["q3", "best"] == 700
    assert found.table.loc["q3", "by"] == "row2"
    assert found.table.loc["q3", "chance"] == pytest.approx(stats.chi2.sf(-2 * np.log(0.9 * 0.8 * 0.7), 6))
    assert found.table.loc["q4", "by"] == ""
    assert list(found.suspects.index) == ["q3"]


def test_of_random_orders_nearly_all_are_suspects_and_of_solved_queries_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chance = difficulty(runs(tmp_path / "random", *rng.integers(1, 1001, (4, 2000)).tolist()))
    assert 0.93 < len(chance.suspects) / 2000 < 0.97
    good = difficulty(runs(tmp_path / "good", [1] * 500, [2] * 500))
    assert len(good.suspects) == 0


@pytest.mark.parametrize(("rows", "rank"), [(14, 1_800), (105, 240), (14, 30_000)])
def test_ranks_that_are_all_far_from_random_are_no_suspects_however_many_rows(
    tmp_path: Path, rows: int, rank: int
) -> None:
    found = difficulty(runs(tmp_path, *[[rank]] * rows, gallery=478_731))
    assert len(found.suspects) == 0


def test_rows_of_other_queries_are_left_out_and_galleries_may_differ(tmp_path: Path) -> None:
    mine = runs(tmp_path, [1, 2, 3], [3, 2, 1])
    larger = read_run(write_ranking(tmp_path / "larger", [1, 1, 2000], gallery=4000))
    other = read_run(write_ranking(tmp_path / "other", [1, 1], names=["a", "b"]))
    found = difficulty({"other": other, **mine, "larger": larger})
    assert found.rows == ["row0", "row1", "larger"]
    assert found.left_out == ["other"]
    assert found.table.loc["q2", "relative"] == pytest.approx(1 / 1000)


def test_nothing_is_known_of_reported_rows() -> None:
    with pytest.raises(DataError, match="no row has a ranking"):
        difficulty({})


def test_the_command(bench: Callable[..., Outcome], tmp_path: Path) -> None:
    board = published_board(tmp_path / "board")
    done = bench("leaderboard", "queries", board, "--json")
    assert done.code == 0
    assert done.json["rows"] == ["alpha", "beta", "gamma"]
    assert sum(done.json["solved_by"].values()) == 1000
    assert len(done.json["solved by no row"]) == done.json["solved_by"]["0"]
    text = bench("leaderboard", "queries", board, "--shown", "3")
    assert "1,000 queries, 3 rows with rankings: alpha, beta, gamma" in text.out
    assert f"solved by no row: {done.json['solved_by']['0']:,} (" in text.out
    empty = tmp_path / "empty"
    (empty / "rows").mkdir(parents=True)
    assert bench("leaderboard", "queries", empty).code == 3
