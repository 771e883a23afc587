"""The board's files, made of rows with and without evidence."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sysu30k_bench.board.groups import LEVEL, p_value, significance, tie_groups
from sysu30k_bench.board.render import Board, _markdown, as_table, render, stale_files, write_board
from sysu30k_bench.board.rows import Row, published_rows
from sysu30k_bench.errors import CheckFailedError
from sysu30k_bench.results.ranked_run import RankedRun, read_run
from tests.conftest import Outcome
from tests.results.test_compare import write_ranking

LEADERBOARD = Path(__file__).parents[2] / "leaderboard"


def test_the_packages_board_is_what_its_rows_give() -> None:
    assert stale_files(LEADERBOARD) == []


def test_every_form_holds_every_row() -> None:
    made = render(Board.open(LEADERBOARD))
    rows = published_rows()
    table = pd.read_csv(io.BytesIO(made["leaderboard.csv"]))
    assert table["id"].tolist() == [row.id for row in rows]
    assert table["date"].tolist() == [row.date for row in rows]
    assert table["rank-1"].tolist() == pytest.approx([row.rank1 * 100 for row in rows])
    assert [Row.model_validate(row) for row in json.loads(made["leaderboard.json"])] == rows
    text = made["README.md"].decode()
    for row in rows:
        assert f"{row.rank1 * 100:.1f}" in text
        assert row.method in text
        assert row.method in made["leaderboard.tex"].decode()
        assert (f"@misc{{{row.id}," in made["leaderboard.bib"].decode()) == (row.paper is not None)
        assert row.date is not None
        assert f"| {row.status} | {row.date} |" in text


def test_rows_that_three_points_apart_are_of_one_group() -> None:
    rows = published_rows()
    tests = significance(rows, {})
    groups = tie_groups(rows, tests)
    assert groups["iics"] == groups["w_mgn"] == 1
    assert groups["unnamed_ssl"] == groups["dgl"] == groups["mgn"] == groups["local_cnn"] == 2
    assert groups["simclr"] == groups["moco_v2"] == groups["dari"]
    numbers = [groups[row.id] for row in published_rows()]
    assert numbers == sorted(numbers)


def test_groups_and_pairs_go_by_one_rule() -> None:
    """DGL and Local-CNN: apart by p alone, and not after Holm's correction over all pairs, as the matrix has it."""
    rows = published_rows()
    tests = significance(rows, {})
    groups = tie_groups(rows, tests)
    assert tests["dgl", "local_cnn"].p < LEVEL <= tests["dgl", "local_cnn"].holm
    assert groups["dgl"] == groups["local_cnn"]
    for number in set(groups.values()):
        first, *others = [row.id for row in rows if groups[row.id] == number]
        assert not [other for other in others if tests[first, other].told]
        after = [row.id for row in rows if groups[row.id] == number + 1]
        assert not after or tests[first, after[0]].told


def row(name: str, rank1: float) -> Row:
    base = published_rows()[0]
    return base.model_copy(update={"id": name, "method": name, "rank1": rank1})


def test_rankings_of_the_same_queries_are_paired(tmp_path: Path) -> None:
    """One per cent apart is nothing between strangers, and certain where ten queries all go one way."""
    runs: dict[str, RankedRun] = {
        name: read_run(write_ranking(tmp_path / name, [1] * hits + [2] * (1000 - hits)))
        for name, hits in (("better", 210), ("worse", 200))
    }
    better, worse = row("better", 0.21), row("worse", 0.20)
    assert p_value(better, worse, {}).p > 0.4
    assert p_value(better, worse, runs) == (pytest.approx(2 / 2**10), True)
    both = [better, worse]
    assert tie_groups(both, significance(both, runs)) == {"better": 1, "worse": 2}
    assert tie_groups(both, significance(both, {})) == {"better": 1, "worse": 1}


def test_rankings_of_galleries_of_two_sizes_are_strangers(tmp_path: Path) -> None:
    runs = {
        name: read_run(write_ranking(tmp_path / name, [1] * 200 + [2] * 800, gallery=size))
        for name, size in (("one", 478_730), ("two", 479_730))
    }
    assert p_value(row("one", 0.2), row("two", 0.2), runs) == (pytest.approx(1), False)


def test_words_of_strangers_make_no_links() -> None:
    spoof = row("spoof", 0.5).model_copy(
        update={"method": "a](https://evil.example) [b", "source": "![x](https://e.example)"}
    )
    text = _markdown(as_table([spoof], {"spoof": 1}), [spoof])
    assert "\\](https://evil" in text
    assert "\\!\\[x\\](" in text


def test_intervals_of_the_table_are_wilsons() -> None:
    table = pd.read_csv(io.BytesIO(render(Board.open(LEADERBOARD))["leaderboard.csv"])).set_index("id")
    p, n, z = 0.269, 1000, 1.959964
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert table.loc["dgl", ["low", "high"]].tolist() == pytest.approx(
        [100 * (centre - half), 100 * (centre + half)], abs=0.01
    )


def test_a_board_with_faults_is_not_rendered_and_a_stale_one_is_told(
    bench: Callable[..., Outcome], tmp_path: Path
) -> None:
    board = tmp_path / "board"
    shutil.copytree(LEADERBOARD / "rows", board / "rows")
    stale = bench("leaderboard", "render", board, "--check")
    assert stale.code == 1
    assert "README.md is not what the rows give" in stale.out
    assert bench("leaderboard", "render", board).code == 0
    assert bench("leaderboard", "render", board, "--check").code == 0
    assert len(write_board(board)) == 6 + 13
    (board / "rows" / "dgl.json").write_text("{")
    with pytest.raises(CheckFailedError, match="the board is not used"):
        render(Board.open(board))
    assert bench("leaderboard", "render", board).code == 1
