"""Many runs in one list: which stand in which table, their groups, and those that cannot be listed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.report.runs.lines import RunLine, in_sort
from sysu30k_bench.report.runs.listing import list_runs
from sysu30k_bench.report.runs.page import runs_page
from sysu30k_bench.results.compare import mcnemar
from sysu30k_bench.results.ranked_run import read_run
from sysu30k_bench.search.ranking import Ranking, read_ranking
from tests.conftest import Outcome
from tests.sealing import reseal, retell

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def whole(twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 queries among 100. Read only."""
    run = tmp_path_factory.mktemp("whole") / "run"
    evaluate(EvalRequest(ExportRequest(stripes_checkpoint, data=twin, output=run)))
    return run


def copy(run: Path, to: Path, *, solved: int | None = None, **changes: Any) -> Path:
    """The same run, with so many queries at rank 1, and with other values in its record."""
    shutil.copytree(run, to)
    values = json.loads((to / "result.json").read_text())
    if solved is not None:
        table = read_ranking(to / "ranking.csv").table
        table["rank_low"] = table["rank_high"] = [1] * solved + [2] * (len(table) - solved)
        Ranking(table).write(to)
        share = solved / len(table)
        values["metrics"]["rank1"] |= {"value": share, "low": share, "high": share}
    reseal(to / "result.json", **{"metrics": values["metrics"], **changes})
    retell(to)
    return to


def test_runs_of_other_lists_are_never_in_one_table(whole: Path, tmp_path: Path) -> None:
    data = json.loads((whole / "result.json").read_text())["data"]
    copy(whole, tmp_path / "a", solved=30)
    copy(whole, tmp_path / "deep" / "b", solved=31)
    copy(whole, tmp_path / "other", solved=40, data={**data, "gallery_fingerprint": "0" * 64})
    copy(whole, tmp_path / "a" / "control")
    found = list_runs([tmp_path])
    assert sorted([line.name for line in table.runs] for table in found.tables) == [["deep/b", "a"], ["other"]]
    assert found.not_listed == []
    named = list_runs([tmp_path / "a", tmp_path, tmp_path / "deep"])
    assert sum(len(table.runs) for table in named.tables) == 3, "each run once"
    assert list_runs([whole / "embeddings"]).tables == []


def test_groups_are_those_of_the_paired_test(whole: Path, tmp_path: Path) -> None:
    """40 against 34 differ by 6 queries one way: p = 1/32; with three pairs Holm makes it 3/32 or 2/32."""
    for name, solved in (("best", 40), ("near", 34), ("far", 10)):
        copy(whole, tmp_path / name, solved=solved)
    best, near, far = (read_run(tmp_path / name) for name in ("best", "near", "far"))
    assert mcnemar(best.hit, near.hit) == pytest.approx(1 / 32)
    assert mcnemar(near.hit, far.hit) < 1e-5
    (table,) = list_runs([tmp_path]).tables
    assert [(line.name, line.group) for line in table.runs] == [("best", 1), ("near", 2), ("far", 3)]
    shutil.rmtree(tmp_path / "near")
    copy(whole, tmp_path / "near", solved=35)
    (table,) = list_runs([tmp_path]).tables
    assert [(line.name, line.group) for line in table.runs] == [("best", 1), ("near", 1), ("far", 2)]
    assert table.resolution["0.1"] is None
    assert table.resolution["0.4"] is not None


def test_damaged_and_unfinished_runs_are_named_and_do_not_stop_the_list(
    bench: Bench, whole: Path, tmp_path: Path
) -> None:
    copy(whole, tmp_path / "good")
    changed = copy(whole, tmp_path / "changed")
    (changed / "ranking.csv").write_text((changed / "ranking.csv").read_text() + "\n")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "result.json").write_text('{"accuracy": 1}')
    gone = copy(whole, tmp_path / "gone")
    (gone / "ranking.csv").unlink()
    half = copy(whole, tmp_path / "half")
    for name in ("result.json", "ranking.csv", "top.csv", "search.json", "export.json"):
        (half / name).unlink()
    unscored = copy(whole, tmp_path / "unscored")
    (unscored / "result.json").unlink()
    strange = copy(whole, tmp_path / "strange")
    table = read_ranking(strange / "ranking.csv").table
    Ranking(table.assign(query="x" + table["query"])).write(strange)
    retell(strange)
    folder = copy(whole, tmp_path / "folder")
    (folder / "result.json").unlink()
    (folder / "result.json").mkdir()
    done = bench("runs", tmp_path, "--json")
    assert done.code == 0, done.err
    assert [line["name"] for table in done.json["tables"] for line in table["runs"]] == ["good"]
    states = {Path(one["folder"]).name: one["state"] for one in done.json["not_listed"]}
    assert states == {
        "changed": "damaged",
        "foreign": "damaged",
        "folder": "damaged",
        "gone": "damaged",
        "strange": "damaged",
        "half": "unfinished",
        "unscored": "unfinished",
    }
    said = bench("runs", tmp_path).out
    assert f"unfinished: {unscored}: it is searched, and not scored; run `sysu30k-bench score {unscored}`" in said
    assert f"damaged: {foreign}: " in said
    assert "40 queries: with 80 % power, the paired test detects" in said


def test_what_cannot_be_listed_is_refused(bench: Bench, tmp_path: Path) -> None:
    assert bench("runs", tmp_path / "nowhere").code == 3
    assert bench("runs", cwd=tmp_path).code == 3
    assert bench("runs", tmp_path, "--sort", "beauty").code == 2
    assert bench("runs", tmp_path, "--html", tmp_path).code == 3
    (tmp_path / "file").write_text("x")
    assert bench("runs", tmp_path / "file").code == 3
    empty = bench("runs", tmp_path)
    assert (empty.code, empty.out) == (0, "no finished run\n")


def test_runs_are_sorted_best_first_whatever_is_better(whole: Path, tmp_path: Path) -> None:
    copy(whole, tmp_path / "run")
    line = list_runs([tmp_path]).tables[0].runs[0]
    metric = line.metrics["rank1"]

    def with_misses(name: str, value: float | None) -> RunLine:
        misses = {} if value is None else {"fnir_at_fpir1": metric.model_copy(update={"value": value})}
        return line.model_copy(update={"name": name, "metrics": {"rank1": metric, **misses}, "dimension": len(name)})

    lines = [with_misses("b", 0.5), with_misses("none", None), with_misses("aa", 0.2)]
    assert [one.name for one in in_sort(lines, "fnir_at_fpir1")] == ["aa", "b", "none"]
    assert [one.name for one in in_sort(lines, "dimension")] == ["none", "aa", "b"]
    assert [one.name for one in in_sort(lines, "name")] == ["aa", "b", "none"]


def test_the_page_escapes_names_and_links_reports(whole: Path, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    model = json.loads((whole / "result.json").read_text())["model"]
    copy(whole, tmp_path / "runs" / evil, model={**model, "title": "<script>alert(1)</script>"})
    (tmp_path / "runs" / evil / "report.html").write_text("a report")
    page = runs_page(list_runs([tmp_path / "runs"]), tmp_path / "pages")
    assert "<img" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.findall(r'href="(\./[^"]*)"', page) == [
        f"./../runs/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E/{name}" for name in ("report.html", "result.json")
    ]
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_sorts_and_filters(browser: Browser, whole: Path, tmp_path: Path) -> None:
    data = json.loads((whole / "result.json").read_text())["data"]
    for name, solved in (("a", 30), ("b", 35), ("c", 20)):
        copy(whole, tmp_path / name, solved=solved)
    copy(whole, tmp_path / "elsewhere", data={**data, "dataset": "market1501"})
    (tmp_path / "page.html").write_text(runs_page(list_runs([tmp_path]), tmp_path))
    page = browser.new_page(viewport={"width": 390, "height": 800})
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    names = page.locator("section:has-text('sysu30k (drawn') tbody th")
    assert names.all_inner_texts() == ["b", "a", "c"]
    page.get_by_role("button", name="run", exact=True).last.click()
    assert names.all_inner_texts() == ["a", "b", "c"]
    page.get_by_label("Data set").select_option("market1501")
    assert page.locator("#shown").inner_text() == "1 of 4 runs"
    assert page.locator("section[data-whole]:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []
    page.close()


def test_a_page_replaces_no_other_file_and_no_device(bench: Bench, whole: Path) -> None:
    before = (whole / "result.json").read_bytes()
    for place in (whole / "result.json", "/dev/null"):
        assert bench("runs", whole, "--html", place).code == 2
    assert (whole / "result.json").read_bytes() == before


def test_a_name_that_is_not_utf8_is_listed(bench: Bench, whole: Path, tmp_path: Path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path / "runs") + b"/bad\xff"))
    shutil.copytree(whole, strange)
    found = bench("runs", tmp_path / "runs", "--json", "--html", tmp_path / "page.html")
    assert found.code == 0, found.err
    assert found.json["tables"][0]["runs"][0]["folder"].endswith("bad\\udcff")
