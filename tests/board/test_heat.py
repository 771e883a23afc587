"""The difficulty map and the column of misses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sysu30k_bench.board.render import Board, render, render_site
from sysu30k_bench.board.site.heat import Bar, heat_map
from sysu30k_bench.metrics.resolution import said
from sysu30k_bench.results.ranked_run import read_run
from tests.board.made import add_row, ranks_of
from tests.results.test_compare import write_ranking

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heat")
    add_row(folder, "alpha", ranks_of(310, 1), "Alpha")
    add_row(folder, "beta", ranks_of(200, 2), "Beta")
    return folder


@pytest.fixture(scope="module")
def with_misses(board: Path) -> Board:
    """The same board, one row of which states its misses."""
    opened = Board.open(board)
    rows = [row.model_copy(update={"fnir_at_fpir1": 0.8125}) if row.id == "beta" else row for row in opened.rows]
    return Board(opened.folder, rows, opened.evidence, opened.tests, opened.groups, opened.rules)


def test_queries_are_sorted_by_their_mean_rank(tmp_path: Path) -> None:
    """Means of q0 to q4: 3, 1.5, (1000 + 7) / 2 without a match in one, 100, 51."""
    runs = {
        name: read_run(write_ranking(tmp_path / name, ranks))
        for name, ranks in (("one", [5, 1, 0, 100, 2]), ("two", [1, 2, 7, 100, 100]))
    }
    one, two = heat_map(["one", "two"], runs)
    assert one.bars == [Bar(0, 1, "b0"), Bar(1, 2, "b1"), Bar(3, 1, "b3"), Bar(4, 1, "b6")]
    assert two.bars == [Bar(0, 1, "b1"), Bar(1, 1, "b0"), Bar(2, 2, "b3"), Bar(4, 1, "b2")]
    assert one.said == "one: 1 of 5 queries at rank 1"


def test_the_map_shows_every_query_of_every_row(board: Path) -> None:
    opened = Board.open(board)
    for row in heat_map(["alpha", "beta"], opened.evidence):
        assert sum(bar.width for bar in row.bars) == 1000
        first = opened.evidence[row.name].per_query["pessimistic"]
        assert sum(bar.width for bar in row.bars if bar.bucket == "b0") == int(np.sum(first == 1))
    page = render_site(opened)["queries.html"].decode()
    assert page.count("<svg") == 2
    assert 'aria-label="alpha: 310 of 1,000 queries at rank 1"' in page


def test_misses_are_a_column_only_where_a_row_states_them(board: Path, with_misses: Board) -> None:
    plain = render(Board.open(board))
    assert b"FNIR" not in plain["README.md"]
    assert b"fnir" not in plain["leaderboard.csv"]
    assert b"FNIR" not in render_site(Board.open(board))["index.html"]
    made = render(with_misses)
    lines = made["README.md"].decode().splitlines()
    heading = next(line for line in lines if line.startswith("| group"))
    place = heading.split(" | ").index("FNIR@FPIR 1 % (less is better)")
    assert [line.split(" | ")[place] for line in lines if "| Alpha" in line or "| Beta" in line] == ["", "81.2"]
    assert made["leaderboard.csv"].decode().splitlines()[0].split(",")[10] == "fnir_at_fpir1"
    site = render_site(with_misses)
    index = site["index.html"].decode()
    assert "less is better" in index
    assert 'data-fnir_at_fpir1="0.8125"' in index
    assert "FNIR@FPIR 1 % (less is better)" in site["rows/beta.html"].decode()
    assert "FNIR" not in site["rows/alpha.html"].decode()


def test_what_so_many_queries_can_tell_stands_beside_the_groups(board: Path) -> None:
    sentence = said(1000, (0.05, 0.1, 0.2))
    opened = Board.open(board)
    assert sentence in render(opened)["README.md"].decode()
    assert sentence in render_site(opened)["index.html"].decode()


def test_a_click_on_misses_puts_the_least_first(browser: Browser, with_misses: Board, tmp_path: Path) -> None:
    rows = [row.model_copy(update={"fnir_at_fpir1": 0.9}) if row.id == "alpha" else row for row in with_misses.rows]
    board = Board(
        with_misses.folder, rows, with_misses.evidence, with_misses.tests, with_misses.groups, with_misses.rules
    )
    (tmp_path / "index.html").write_bytes(render_site(board)["index.html"])
    page = browser.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    page.get_by_role("button", name="FNIR").click()
    assert page.locator("#board tbody th").all_inner_texts() == ["Beta", "Alpha"]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.close()
