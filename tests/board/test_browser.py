"""The site in a real browser, from `file://`: sorting, filters, links to views, keyboard, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sysu30k_bench.board.render import Board, render_site
from sysu30k_bench.models.card import Paper
from tests.board.made import add_row, ranks_of
from tests.board.test_site import made_site  # noqa: F401  a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: Browser, made_site: Path) -> Iterator[Page]:  # noqa: F811
    """The first page; whatever it logs or throws, and whatever it fetches, is a fault."""
    context = browser.new_context(viewport={"width": 1250, "height": 900})
    opened = context.new_page()
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))
    opened.goto((made_site / "index.html").as_uri())
    yield opened
    assert faults == []
    context.close()


def shown(page: Page) -> list[str]:
    """Methods of the rows that can be seen, from the top."""
    rows = page.locator("#board tbody tr")
    return [
        rows.nth(number).locator("th").inner_text() for number in range(rows.count()) if rows.nth(number).is_visible()
    ]


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"#board tbody tr td:nth-child({number})").all_inner_texts()


def test_the_table_starts_with_the_best(page: Page) -> None:
    assert shown(page)[:4] == ["IICS", "Alpha", "Beta", "W-MGN"]
    assert page.locator("th[aria-sort]").inner_text() == "rank-1"
    assert page.locator("#shown").inner_text() == "16 of 16 rows"


def test_a_click_sorts_and_a_second_turns_it_round(page: Page) -> None:
    page.get_by_role("button", name="method").click()
    names = shown(page)
    assert names == sorted(names, key=str.lower)
    assert page.locator("th[aria-sort=ascending]").inner_text() == "method"
    page.get_by_role("button", name="method").click()
    assert shown(page) == names[::-1]
    page.get_by_role("button", name="rank-1", exact=True).click()
    numbers = [float(text) for text in column(page, 3)]
    assert numbers == sorted(numbers, reverse=True)
    page.get_by_role("button", name="rank-1", exact=True).click()
    assert [float(text) for text in column(page, 3)] == sorted(numbers)


def test_unknown_scores_stay_at_the_end_in_both_directions(page: Page) -> None:
    for _ in range(2):
        page.get_by_role("button", name="AP (standard)").click()
        texts = column(page, 7)
        known = [float(text) for text in texts if text]
        assert texts[: len(known)] == [text for text in texts if text]
        assert known in (sorted(known), sorted(known, reverse=True))
    assert known == sorted(known)


def test_status_is_sorted_by_what_it_is_worth(page: Page) -> None:
    page.get_by_role("button", name="status").click()
    assert column(page, 13)[:4] == ["self-reported"] * 3 + ["reported"]


def test_filters_narrow_the_table_and_say_so(page: Page) -> None:
    page.get_by_label("Supervision").select_option("self supervised")
    assert page.locator("#shown").inner_text() == "8 of 16 rows"
    page.get_by_label("Status").select_option("reported")
    assert set(shown(page)) == {"Triplet", "BYOL", "MoCo v2", "SimCLR", "Unnamed self-supervised method"}
    page.get_by_label("Search").fill("moco")
    assert shown(page) == ["MoCo v2"]
    page.get_by_role("button", name="Show all").click()
    assert len(shown(page)) == 16
    assert page.url.endswith("index.html#")


def test_every_view_has_a_link(page: Page, made_site: Path) -> None:  # noqa: F811
    page.get_by_label("Supervision").select_option("self supervised")
    page.get_by_role("button", name="method").click()
    address, rows = page.url, shown(page)
    page.goto((made_site / "rows" / "alpha.html").as_uri())
    page.goto(address)
    assert shown(page) == rows
    assert page.get_by_label("Supervision").input_value() == "self supervised"
    page.goto((made_site / "index.html").as_uri() + "#sort=__proto__&q=%3Cscript%3E&supervision=no+such")
    page.reload()
    assert shown(page) == []
    page.goto((made_site / "index.html").as_uri() + "#status=no+such")
    page.reload()
    assert len(shown(page)) == 16
    page.goto((made_site / "index.html").as_uri() + "#row-dgl")
    page.reload()
    assert len(shown(page)) == 16


def test_links_to_places_in_the_page_keep_the_view(page: Page) -> None:
    page.get_by_label("Search").fill("alpha")
    assert shown(page) == ["Alpha"]
    page.get_by_role("link", name="Rank-1 and gallery size").click()
    assert page.url.endswith("#scaling")
    assert shown(page) == ["Alpha"]
    assert page.get_by_label("Search").input_value() == "alpha"


def test_the_search_finds_sources_and_not_the_words_of_links(page: Page) -> None:
    page.get_by_label("Search").fill("example.org/code")
    assert set(shown(page)) == {"Alpha", "Beta", "Gamma"}
    page.get_by_label("Search").fill("ranking")
    assert shown(page) == []


def test_all_of_it_works_by_keyboard(page: Page) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "method":
            break
    before = shown(page)
    page.keyboard.press("Enter")
    assert shown(page) != before
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_row_and_its_strip(page: Page) -> None:
    page.get_by_role("link", name="Alpha", exact=True).click()
    assert page.locator("h1").inner_text() == "Alpha"
    assert page.locator("#strip i").count() == 1000
    assert page.locator("#strip .b0").count() == 310
    page.locator("#strip").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#readout").inner_text()
    assert first.startswith("query/000028311/000028311_c2_2.jpg: rank ")
    page.keyboard.press("End")
    assert page.locator("#readout").inner_text().startswith("query/000029310/000029310_c2_2.jpg: rank ")
    page.keyboard.press("ArrowRight")
    assert page.locator("#strip").get_attribute("aria-activedescendant") == "q999"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    below = int((page.locator("#strip").get_attribute("aria-activedescendant") or "q0")[1:])
    boxes = [page.locator(f"#q{number}").bounding_box() for number in (0, below)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["x"] == boxes[0]["x"]
    assert boxes[1]["y"] > boxes[0]["y"]
    before = page.locator("#readout").inner_text()
    page.locator("#strip").press("Alt+ArrowDown")
    page.locator("#strip").press("Control+Home")
    assert page.locator("#readout").inner_text() == before
    # Control+Home is the browser's own, here: it glides to the top, and a click during that lands on another cell.
    while page.evaluate("scrollY"):
        page.wait_for_timeout(20)
    page.locator("#q42").click()
    assert page.locator("#readout").inner_text().startswith("query/000028353/000028353_c2_2.jpg: rank ")
    page.get_by_role("link", name="Leaderboard").click()
    assert page.locator("h1").inner_text() == "SYSU-30k leaderboard"


def test_dates_are_shown_and_sorted(page: Page) -> None:
    page.get_by_role("button", name="date").click()
    dates = column(page, 14)
    known = [date for date in dates if date]
    assert known == sorted(known) == ["2021"] * 11 + ["2021-09-17", "2022-05-14"]
    assert dates == known + [""] * 3
    page.get_by_role("button", name="date").click()
    assert shown(page)[:2] == ["Unnamed self-supervised method", "IICS"]
    page.goto(page.url.split("index.html")[0] + "rows/iics.html")
    assert page.locator("time").inner_text() == "2021-09-17"


@pytest.mark.parametrize("width", [320, 360, 800, 1250])
def test_long_words_do_not_widen_pages(browser: Browser, tmp_path: Path, width: int) -> None:
    """A name, a source and keys without a place to break."""
    long = "W" * 100
    paper = Paper(title="T" * 200, url="https://example.org/" + "u" * 400, year=2021)
    words = {"source": "s" * 500, "claimed_by": "c" * 200, "weights": "w" * 500, "notes": "n" * 1000, "paper": paper}
    add_row(tmp_path, "x" * 64, ranks_of(100, 1), long, date="2026-01-31", **words)
    add_row(tmp_path, "y" * 64, ranks_of(90, 2), "Y" * 100)
    pages = render_site(Board.open(tmp_path))
    context = browser.new_context(viewport={"width": width, "height": 900})
    opened = context.new_page()
    for name, content in pages.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_bytes(content)
    for name in ("index.html", "queries.html", f"rows/{'x' * 64}.html"):
        opened.goto((tmp_path / "site" / name).as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= width, name
        wide = opened.evaluate("""() => [...document.querySelectorAll('h1, p, dd, td, th, li, .mono, input, select')]
            .filter(one => !one.closest('.scroll') && one.getBoundingClientRect().right > innerWidth + 1)
            .map(one => one.outerHTML.slice(0, 80))""")
        assert wide == [], name
    context.close()


def test_light_and_dark_and_narrow(page: Page) -> None:
    backs = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        backs.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        axis = page.locator("figure svg text").first
        assert axis.evaluate("node => getComputedStyle(node).fill") == page.evaluate(
            "getComputedStyle(document.body).color"
        )
    assert backs[0] != backs[1]
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_script_the_table_is_whole(browser: Browser, made_site: Path) -> None:  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((made_site / "index.html").as_uri())
    assert len(shown(opened)) == 16
    assert not opened.locator("#filters").is_visible()
    context.close()
