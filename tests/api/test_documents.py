"""What the pages about Python show runs: blocks from top to bottom, docstrings, examples, the notebook."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = blocks(ROOT / "docs/api.md")
    assert len(shown) >= 12
    names: dict[str, Any] = {}
    for number, block in enumerate(shown):
        exec(compile(block, f"docs/api.md, block {number}", "exec"), names)  # noqa: S102  the page's own text
    said = capsys.readouterr().out
    assert "rank-1" in said
    assert "different widths" in said
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


def test_the_readme_runs(twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stripes_checkpoint: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/sysu30k-twin").symlink_to(twin)
    (tmp_path / "demo/colour_stripes.pth").symlink_to(stripes_checkpoint)
    (block,) = [block for block in blocks(ROOT / "README.md") if "sysu30k_bench as sb" in block]
    assert len(block.splitlines()) <= 8
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102


@pytest.mark.parametrize("module", ["score", "search", "metric", "citation"])
def test_examples_of_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"sysu30k_bench.api.{module}"))
    assert found.attempted >= 2
    assert not found.failed


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(
    path: Path, twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), str(twin)])
    runpy.run_path(str(path))
    assert "rank" in capsys.readouterr().out or (tmp_path / "log.csv").is_file()


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "examples/notebook.ipynb").read_text("utf-8"))
    assert notebook["nbformat"] == 4
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), "outputs are of a machine, and are not kept"
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102
    assert names["result"]._repr_html_().startswith("<div>")


def test_stable_names_are_those_of_the_package() -> None:
    import sysu30k_bench as sb

    text = (ROOT / "docs/reference.md").read_text("utf-8") + (ROOT / "docs/api.md").read_text("utf-8")
    assert not [name for name in sb.__all__ if name not in text and not name.startswith("__")]
