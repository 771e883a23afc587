"""The site's pages: complete, closed to strangers' code, and made of the rows alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.groups import Apart, significance
from sysu30k_bench.board.render import Board, render, render_site, write_board
from sysu30k_bench.board.rows import Cost, published_rows
from sysu30k_bench.board.site.plot import _short, _spread
from sysu30k_bench.board.site.view import bucket_counts, pair_cells, squares
from sysu30k_bench.results.ranked_run import read_run
from tests.board.made import PUBLISHED, add_row, published_board, ranks_of
from tests.board.test_render import row
from tests.results.test_compare import write_ranking


@pytest.fixture(scope="session")
def made_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with submissions, rendered. Read only."""
    board = published_board(tmp_path_factory.mktemp("site") / "board")
    write_board(board, board / "site")
    return board / "site"


class Links(HTMLParser):
    """Every address and every id in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"href", "src", "xlink:href"} and value:
                self.addresses.append(value)
            if name == "id" and value:
                self.ids.append(value)


def links_of(text: str) -> Links:
    found = Links()
    found.feed(text)
    return found


def test_every_link_of_every_page_leads_somewhere(made_site: Path) -> None:
    found_pages = list(made_site.rglob("*.html"))
    assert len(found_pages) == 2 + 13 + 3
    for page in found_pages:
        here = links_of(page.read_text())
        assert len(set(here.ids)) == len(here.ids), page
        for address in here.addresses:
            if address.startswith(("http://", "https://")):
                continue
            path, _, anchor = address.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), (page, address)
            if anchor and target.suffix == ".html":
                assert anchor in links_of(target.read_text()).ids, (page, address)


def test_pages_fetch_nothing_and_run_their_own_script_alone(made_site: Path) -> None:
    for page in made_site.rglob("*.html"):
        text = page.read_text()
        assert not re.search(r"@import|url\((?!#)|<link|<img|<iframe| src=", text), page
        script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
        assert script is not None
        digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        assert policy is not None
        assert "default-src 'none'" in policy[1]
        assert f"script-src 'sha256-{digest}'" in policy[1]
        assert text.count("<script") == 1


def test_pages_say_when_a_number_was_stated(made_site: Path) -> None:
    index = (made_site / "index.html").read_text()
    dates = {row.id: row.date for row in published_rows()}
    assert index.count("<time ") == len(dates)
    for name, date in dates.items():
        tag = f'<time datetime="{date}">{date}</time>'
        assert tag in (made_site / "rows" / f"{name}.html").read_text()
        assert f'data-date="{date}"' in next(line for line in index.splitlines() if f'id="row-{name}"' in line)
    assert "<time" not in (made_site / "rows" / "alpha.html").read_text()


def test_groups_of_the_table_are_those_of_the_matrix(made_site: Path) -> None:
    text = (made_site / "index.html").read_text()
    groups = [int(group) for group in re.findall(r'class="group-\w+".* data-group="(\d+)"', text)]
    matrix = text[text.index('<table class="matrix">') :]
    lines = [re.findall(r'<td class="(\w+)"', line) for line in matrix.splitlines() if line.startswith("<tr>")]
    assert [len(line) for line in lines] == list(range(1, len(groups)))
    first = 0
    for number, cells in enumerate(lines, 1):  # cells[n] is the pair of this row and row n
        assert (cells[first] == "apart") == (groups[number] != groups[first])
        first = number if groups[number] != groups[first] else first


def test_the_site_is_small(made_site: Path) -> None:
    assert (made_site / "index.html").stat().st_size < 150_000
    assert all(page.stat().st_size < 120_000 for page in (made_site / "rows").glob("*.html"))


def test_equal_boards_give_equal_bytes(tmp_path: Path) -> None:
    one, two = (published_board(tmp_path / name) for name in ("one", "two"))
    assert render_site(Board.open(one)) == render_site(Board.open(two))


def test_names_of_strangers_are_text(tmp_path: Path) -> None:
    board = tmp_path / "board"
    name = """x" autofocus onfocus="alert(1)" y='&amp; {{ 7*7 }} </script"""
    hostile = name.replace("<", "").replace(">", "")
    add_row(board, "hostile", ranks_of(100, 3), hostile)
    add_row(board, "dollar", ranks_of(90, 4), "$\\frac{1}{0}$ & 100 %")
    pages = render_site(Board.open(board))
    for file in ("index.html", "rows/hostile.html"):
        text = pages[file].decode()
        assert "&#34; autofocus onfocus=&#34;alert(1)&#34;" in text
        plot = re.search(r"<svg role=.*?</svg>", text, re.DOTALL) if file == "index.html" else None
        assert plot is None or hostile[:12] in "".join(ET.fromstring(plot[0].replace("xlink:", "")).itertext())  # noqa: S314
        outside = text.replace(plot[0], "") if plot else text
        assert '" autofocus' not in outside.replace("&#34;", "")
        assert "{{ 7*7 }}" in text
        assert "&amp;amp;" in text


def test_pages_of_rows_that_are_gone_are_removed_and_other_files_are_kept(tmp_path: Path) -> None:
    board = tmp_path / "board"
    add_row(board, "one", ranks_of(100, 3))
    add_row(board, "two", ranks_of(120, 4))
    site = tmp_path / "public"
    write_board(board, site)
    (site / "CNAME").write_text("board.example.org")
    (board / "rows" / "two.json").unlink()
    (board / "evidence" / "two.csv").unlink()
    write_board(board, site)
    left = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert not [path for path in left if "two" in path]
    assert {"CNAME", "rows/one.html", "data/evidence/one.csv", "data/rows/one.json"} <= left
    assert (site / "data/evidence/one.csv").read_bytes() == (board / "evidence/one.csv").read_bytes()


def test_a_board_of_one_reported_row_has_a_site(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "one.json").write_text(row("one", 0.2).model_dump_json(exclude_none=True))
    pages = render_site(Board.open(tmp_path))
    assert "queries.html" not in pages
    assert "queries.html" not in pages["index.html"].decode()
    assert "None: no number can be recomputed" in pages["rows/one.html"].decode()


def test_squares_and_their_counts(tmp_path: Path) -> None:
    run = read_run(write_ranking(tmp_path / "run", [1, 2, 5, 6, 10, 11, 100, 101, 1000, 1001, 5000, 0], gallery=9000))
    shown = squares(run)
    assert [one.bucket for one in shown] == ["b0", "b1", "b1", "b2", "b2", "b3", "b3", "b4", "b4", "b5", "b5", "b6"]
    assert shown[10].caption == "q10: rank 5,000"
    assert shown[11].caption == "q11: no match"
    assert [count for _, _, count in bucket_counts(shown)] == [1, 2, 2, 2, 2, 2, 1]


def test_the_table_of_pairs(tmp_path: Path) -> None:
    rows = [row("one", 0.30), row("two", 0.29), row("three", 0.10)]
    tests = significance(rows, {})
    assert tests["one", "two"] == tests["two", "one"]
    assert tests["one", "three"].holm >= tests["one", "three"].p
    cells = pair_cells(rows, tests)
    assert [len(line) for line in cells] == [0, 1, 2]
    near, far = cells[1][0], cells[2][0]
    assert (near.kind, far.kind, far.text) == ("same", "apart", "<.001")
    assert near.caption.endswith("before Holm's correction")
    board = published_board(tmp_path / "board")
    runs = {name: read_run(board / "evidence" / f"{name}.csv") for name in ("alpha", "beta", "gamma")}
    made = [row(name, runs[name].hit.mean()) for name in runs]
    paired = significance(made, runs)
    assert all(test.paired for test in paired.values())
    marked = pair_cells(made, {**paired, ("beta", "alpha"): Apart(0.03, 0.09, paired=True)})[1][0]
    assert (marked.kind, marked.text) == ("same", ".090*"), "one rule everywhere: after Holm's correction"


def test_labels_of_the_plot_keep_their_order_and_distance() -> None:
    heights = [36.0, 23.6, 23.0, 11.6, 11.2, 10.9, 10.3]
    placed = _spread(heights, 1.4)
    assert all(above - below >= 1.4 - 1e-9 for above, below in pairwise(placed))
    assert placed[0] == 36.0
    assert placed[-1] == 10.3
    crowded = _spread([99.5, 99.4, 99.0, 98.9], 4.0)
    assert all(above - below >= 4 - 1e-9 for above, below in pairwise(crowded))
    assert max(crowded) <= 98, "no label leaves the plot"
    assert _spread([], 1.0) == []


def test_labels_of_the_plot_are_cut_at_blanks_or_anywhere() -> None:
    assert _short("MoCo v2") == "MoCo v2"
    assert _short("Unnamed self-supervised method") == "Unnamed ..."
    assert _short("W" * 100) == "W" * 18 + " ..."


def test_the_plot_has_a_curve_for_every_ranking(made_site: Path) -> None:
    text = (made_site / "index.html").read_text()
    assert 'aria-label="Rank-1 of rows with rankings against the size of the gallery"' in text
    for label in ("Alpha 31.0", "Beta 30.0", "Gamma 16.0"):
        assert f">{label}</text>" in text
    assert ">IICS 36.0</text>" not in text, "its interval stands in the list of intervals"
    assert "currentColor" in text
    assert not re.search(r"#010203|#040506", text)


def test_no_row_spoils_what_all_share(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    paper = {"title": r"A { brace, a \\ and ^~ & 100 % of #1_x$", "url": "https://example.org/x", "year": 2020}
    add_row(tmp_path, "wide", ranks_of(100, 3), "W" * 100)
    add_row(tmp_path, "colour", ranks_of(90, 4), "Method #010203 __x__ ~~y~~")
    path = tmp_path / "rows" / "wide.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "paper": paper}))
    board = Board.open(tmp_path)
    bib = render(board)["leaderboard.bib"].decode()
    assert bib.count("{") == bib.count("}")
    assert r"100 \% of \#1\_x\$" in bib
    site = render_site(board)
    assert not [str(one.message) for one in recwarn if "layout" in str(one.message)]
    assert "Method #010203" in site["index.html"].decode()
    assert r"\_\_x\_\_ \~\~y\~\~" in render(board)["README.md"].decode()
    assert site["data/pairs.csv"].decode().splitlines()[0] == "better,worse,test,p,p_holm"
    assert site["data/pairs.csv"].decode().splitlines()[1].startswith("wide,colour,mcnemar,")


def test_pages_that_somebody_else_made_are_left_alone(tmp_path: Path) -> None:
    add_row(tmp_path / "board", "one", ranks_of(100, 3))
    site = tmp_path / "public"
    (site / "rows").mkdir(parents=True)
    (site / "rows" / "mine.html").write_text("mine")
    write_board(tmp_path / "board", site)
    assert (site / "rows" / "mine.html").read_text() == "mine"


def test_rows_without_rankings_are_intervals_best_first_and_no_plot(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    for name in ("triplet", "dgl"):
        (tmp_path / "rows" / f"{name}.json").write_bytes((PUBLISHED / f"{name}.json").read_bytes())
    text = render_site(Board.open(tmp_path))["index.html"].decode()
    assert 'id="scaling"' not in text
    assert re.findall(r'class="bar" role="img" aria-label="([^"]*)"', text) == [
        "26.9, 24.2 to 29.7",
        "14.8, 12.7 to 17.1",
    ]
    assert "bytes an image" not in text, "no row says what it costs"


def test_costs_stand_beside_the_machine_that_they_are_of(tmp_path: Path) -> None:
    cost = Cost(parameters=25_557_032, images_per_second=412.5, embedded_on="NVIDIA H100")
    add_row(tmp_path, "one", ranks_of(100, 3), cost=cost, trained_on="Market-1501")
    pages = render_site(Board.open(tmp_path))
    text = pages["index.html"].decode()
    assert '<td class="n">25.6 M</td>' in text
    assert '<td class="n" title="NVIDIA H100">412</td>' in text
    assert "search, s" not in text
    assert 'data-trained="Market-1501"' in text
    assert "embedded on NVIDIA H100" in pages["rows/one.html"].decode()
    with pytest.raises(ValueError, match="name of the machine"):
        Cost(search_seconds=3.0)


def test_a_correction_is_a_row_of_its_own_and_names_the_one_before_it(tmp_path: Path) -> None:
    add_row(tmp_path, "one", ranks_of(100, 3), date="2026-01-01")
    add_row(tmp_path, "two", ranks_of(90, 4), date="2026-02-01", corrects="one")
    pages = render_site(Board.open(tmp_path))
    assert "corrected by two" in pages["index.html"].decode()
    assert '<dt>corrected by</dt><dd><a href="two.html">' in pages["rows/one.html"].decode()
    for bad, said in (
        ({"corrects": "gone"}, "no other row"),
        ({"corrects": "two", "date": "2026-01-15"}, "not older"),
        ({"corrects": "one", "date": "2026-03-01"}, "as two does"),
        ({"corrects": "one", "date": "2026-03-01", "claimed_by": "a stranger"}, "another person claimed"),
    ):
        (tmp_path / "rows" / "z.json").unlink(missing_ok=True)
        add_row(tmp_path, "z", ranks_of(80, 5), **bad)
        faults = [fault for fault in check_board(tmp_path) if fault.startswith("rows/z.json: corrects")]
        assert any(said in fault for fault in faults), faults
