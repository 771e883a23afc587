"""The picture of README: a report and the practice board side by side, in light and in dark, as the demo left them.

`make demo && make picture` writes `docs/pictures/light.webp` and `dark.webp`. It needs Chromium on the path.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WIDTH, _HEIGHT, _SHOWN = 1150, 1330, 1600
_EDGE = {"light": (208, 214, 219), "dark": (60, 68, 75)}
_BACK = {"light": (255, 255, 255), "dark": (13, 17, 23)}
_GAP = 12
# of the report, lists of names, the fourth figure and the part about thresholds are hidden: the images come into view
_SHORTER = "main > .two, .figures > figure:nth-child(n+4), .hidden-here { display: none; }"
_HIDE = """for (const heading of document.querySelectorAll("main > h2")) {
  if (!heading.textContent.startsWith("Identification")) continue;
  for (let one = heading; one && (one === heading || one.tagName !== "H2"); one = one.nextElementSibling)
    one.classList.add("hidden-here");
}"""


def shot(browser: Browser, page: Path, scheme: str) -> Image.Image:
    """Takes a picture of a page's beginning.

    Args:
        browser: A headless browser.
        page: An HTML file.
        scheme: `light` or `dark`.
    """
    context = browser.new_context(
        viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="dark" if scheme == "dark" else "light"
    )
    opened = context.new_page()
    opened.goto(page.resolve().as_uri())
    opened.add_style_tag(content=_SHORTER)
    opened.evaluate(_HIDE)
    content = opened.screenshot()
    context.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def side_by_side(pages: list[Image.Image], scheme: str) -> Image.Image:
    """Puts pictures beside each other on the colour of the page that shows them, each with an edge."""
    total = sum(page.width for page in pages) + _GAP * (len(pages) + 1)
    sheet = Image.new("RGB", (total, _HEIGHT + 2 * _GAP), _BACK[scheme])
    left = _GAP
    for page in pages:
        framed = Image.new("RGB", (page.width + 2, page.height + 2), _EDGE[scheme])
        framed.paste(page, (1, 1))
        sheet.paste(framed, (left - 1, _GAP - 1))
        left += page.width + _GAP
    return sheet.resize((_SHOWN, round(sheet.height * _SHOWN / sheet.width)), Image.Resampling.LANCZOS)


def main(demo: Path) -> None:
    """Takes both pictures.

    Args:
        demo: The folder in which `sysu30k-bench demo` worked.
    """
    program = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    pages = [demo / "run-photographs" / "report-local.html", demo / "practice-board" / "site" / "index.html"]
    missing = [str(page) for page in pages if not page.is_file()]
    if program is None or missing:
        raise SystemExit(f"needs Chromium, and what `make demo` leaves: {', '.join(missing) or 'all pages exist'}")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            sheet = side_by_side([shot(browser, page, scheme) for page in pages], scheme)
            sheet.save(PICTURES / f"{scheme}.webp", "WEBP", quality=82, method=6)
            print(PICTURES / f"{scheme}.webp")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
