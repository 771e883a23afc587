"""The documentation as a site: every page is in its navigation, links leave `docs/` as they should, and it builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

import sysu30k_bench

ROOT = Path(__file__).parents[1]


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose `!ENV` is mkdocs' own."""


Loader.add_constructor("!ENV", lambda loader, node: loader.construct_sequence(node)[-1])


def pages(nav: Any) -> Iterator[str]:
    """Every page of a navigation, at any depth."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from pages(item)


def settings() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)  # noqa: S506  a safe loader
    return found


def test_the_navigation_names_every_page_once_and_no_other() -> None:
    named = list(pages(settings()["nav"]))
    assert len(named) == len(set(named))
    assert set(named) == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def test_the_site_is_strict_and_fetches_no_fonts() -> None:
    found = settings()
    assert found["strict"] is True
    assert found["theme"]["font"] is False


@pytest.fixture
def links() -> ModuleType:
    spec = util.spec_from_file_location("site_links", ROOT / "docs" / "site_links.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://example.org/r", "see [C](https://example.org/r/blob/main/CONTRIBUTING.md) and [data](data.md#a)"),
        ("", "see C and [data](data.md#a)"),
    ],
)
def test_links_out_of_the_documents_lead_to_the_repository(links: ModuleType, repository: str, expected: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="submitting.md"))
    text = "see [C](../CONTRIBUTING.md) and [data](data.md#a)"
    assert links.on_page_markdown(text, page=page, config=SimpleNamespace(repo_url=repository)) == expected


def test_the_pictures_are_small_and_alike() -> None:
    paths = [ROOT / "docs" / "pictures" / f"{scheme}.webp" for scheme in ("light", "dark")]
    assert all(path.stat().st_size < 300_000 for path in paths)
    with Image.open(paths[0]) as light, Image.open(paths[1]) as dark:
        assert light.size == dark.size
        assert sum(light.convert("L").resize((1, 1)).tobytes()) > sum(dark.convert("L").resize((1, 1)).tobytes()) + 100


def test_every_public_name_is_in_the_reference() -> None:
    shown = re.findall(r"^::: sysu30k_bench\.(\w+)$", (ROOT / "docs" / "reference.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(set(sysu30k_bench.__all__) - {"__version__"})


def test_the_first_pages_are_written_in_the_words_of_the_style() -> None:
    """The words that docs/style.md rules out do not occur in the pages that a stranger reads first."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (ROOT / "docs" / "style.md").read_text("utf-8"), re.MULTILINE)
    banned = [word.strip() for row in rows for word in row.split(",") if len(word.split()) > 2]
    assert "goes on where it was" in banned
    for name in ("README.md", "docs/index.md", "docs/quickstart.md"):
        text = (ROOT / name).read_text("utf-8").lower()
        assert not [word for word in banned if word.lower() in text], name


@pytest.mark.slow
def test_it_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "site" / "reference.html").read_text("utf-8")
    assert "EvaluationRecord" in text
    assert not re.findall(r'(?:src|href)="https?://(?!squidfunk|www\.mkdocs)[^"]*\.(?:js|css|woff2?)', text)
