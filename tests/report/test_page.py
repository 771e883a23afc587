"""The report as a file: whole, escaped, fetching nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sysu30k_bench.board.practice import other_reasons
from sysu30k_bench.errors import UsageError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.report.page import make_report
from sysu30k_bench.results.record import EvaluationRecord
from tests.conftest import Outcome
from tests.results.test_compare import write_ranking
from tests.sealing import retell

Bench = Callable[..., Outcome]
_VOID = {"meta", "br", "link"}


class Outline(HTMLParser):
    """Collects text, and refuses tags that are closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def run(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    assert bench("eval", stripes_checkpoint, "--data", twin, "--output", folder).code == 0
    return folder


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    assert not parser.open
    return parser


def test_the_page_says_what_the_record_says(run: Path) -> None:
    record = EvaluationRecord.model_validate_json((run / "result.json").read_bytes())
    page = outline(make_report(run))
    assert f"{record.metrics.rank1.value * 100:.1f} %" in page.text
    assert f"{record.metrics.ap_trapezoid.value * 100:.2f}" in page.text
    assert record.not_official_because
    assert other_reasons(record) == []
    assert "Practice run on drawn people: shows the tool, measures nothing" in page.text
    assert record.data.gallery_fingerprint in page.text
    assert sha256_of_file(run / "ranking.csv") in page.text
    assert page.tags.count("figure") == 4
    assert page.tags.count("svg") == 4


def test_nothing_is_fetched_and_nothing_runs(run: Path) -> None:
    html = make_report(run)
    page = outline(html)
    assert "script" not in page.tags
    assert all(address.startswith("#") for address in page.addresses)
    assert "default-src 'none'" in html
    assert not re.search(r"<[^>]*\son[a-z]+\s*=", html)


def test_hostile_names_are_escaped(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(run, folder)
    path = folder / "ranking.csv"
    path.write_text(path.read_text().replace("query/", "<script>alert(2)</script>/"))
    retell(folder)
    html = make_report(folder, folder)
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_against_another_run(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    page = outline(make_report(run, other))
    assert "exact McNemar p = 1" in page.text
    strangers = write_ranking(tmp_path / "strangers", [1, 2, 3])
    with pytest.raises(UsageError, match="different queries"):
        make_report(run, strangers)
    with pytest.raises(UsageError, match=r"no result\.json"):
        make_report(strangers)


def test_names_that_look_like_formulas_and_runs_of_one_name(run: Path, tmp_path: Path) -> None:
    for name in ("a$\\frac$b", "_hidden"):
        shutil.copytree(run, tmp_path / name)
        assert name in outline(make_report(run, tmp_path / name)).text
    shutil.copytree(run, tmp_path / "deeper" / "run")
    assert "Against deeper/run" in outline(make_report(run, tmp_path / "deeper" / "run")).text


def test_as_a_command(bench: Bench, run: Path, tmp_path: Path) -> None:
    done = bench("report", run)
    assert done.code == 0, done.err
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert bench("report", run, "--output", tmp_path / "deep" / "page.html").code == 0
    assert bench("report", tmp_path).code == 3
