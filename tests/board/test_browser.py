"""The site in a real browser, from `file://`: sorting, filters, links to views, keyboard, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
    assert shown(page)[:4] == ["IICS", "Alpha", "Beta", "DGL"]
    assert page.locator("th[aria-sort]").inner_text() == "rank-1"
    assert page.locator("#shown").inner_text() == "14 of 14 rows"


def test_a_click_sorts_and_a_second_turns_it_round(page: Page) -> None:
    page.get_by_role("button", name="method").click()
    names = shown(page)
    assert names == sorted(names, key=str.lower)
    assert page.locator("th[aria-sort=ascending]").inner_text() == "method"
    page.get_by_role("button", name="method").click()
    assert shown(page) == names[::-1]
    page.get_by_role("button", name="rank-1", exact=True).click()
    numbers = [float(text) for text in column(page, 4)]
    assert numbers == sorted(numbers, reverse=True)
    page.get_by_role("button", name="rank-1", exact=True).click()
    assert [float(text) for text in column(page, 4)] == sorted(numbers)


def test_unknown_scores_stay_at_the_end_in_both_directions(page: Page) -> None:
    for _ in range(2):
        page.get_by_role("button", name="AP (standard)").click()
        texts = column(page, 6)
        known = [float(text) for text in texts if text]
        assert texts[: len(known)] == [text for text in texts if text]
        assert known in (sorted(known), sorted(known, reverse=True))
    assert known == sorted(known)


def test_status_is_sorted_by_what_it_is_worth(page: Page) -> None:
    page.get_by_role("button", name="status").click()
    assert column(page, 10)[:4] == ["self-reported"] * 3 + ["reported"]


def test_filters_narrow_the_table_and_say_so(page: Page) -> None:
    page.get_by_label("Supervision").select_option("self supervised")
    assert page.locator("#shown").inner_text() == "7 of 14 rows"
    page.get_by_label("Status").select_option("reported")
    assert set(shown(page)) == {"Triplet", "BYOL", "MoCo v2", "SimCLR"}
    page.get_by_label("Search").fill("moco")
    assert shown(page) == ["MoCo v2"]
    page.get_by_role("button", name="Show all").click()
    assert len(shown(page)) == 14
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
    assert len(shown(page)) == 14
    page.goto((made_site / "index.html").as_uri() + "#row-dgl")
    page.reload()
    assert len(shown(page)) == 14


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
    assert first.startswith("q0: rank ")
    page.keyboard.press("End")
    assert page.locator("#readout").inner_text().startswith("q999: rank ")
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
    page.locator("#q42").click()
    assert page.locator("#readout").inner_text().startswith("q42: rank ")
    page.get_by_role("link", name="Leaderboard").click()
    assert page.locator("h1").inner_text() == "SYSU-30k leaderboard"


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
    assert len(shown(opened)) == 14
    assert not opened.locator("#filters").is_visible()
    context.close()
