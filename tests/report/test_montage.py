"""The montage: the right images, from the right data, for this machine alone."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from sysu30k_bench.data.images import decode
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.report.montage import open_images, strips
from sysu30k_bench.report.page import make_report
from sysu30k_bench.results.record import read_record
from sysu30k_bench.search.ranking import read_ranking
from sysu30k_bench.search.top_list import read_top
from tests.conftest import Outcome
from tests.report.test_page import outline
from tests.sealing import reseal, retell

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
    from sysu30k_bench.progress import Silent

    root = tmp_path_factory.mktemp("montage") / "twin"
    write_twin(root, TwinRequest(identities=30, distractors=200, difficulty="hard"), Silent())
    return root


@pytest.fixture(scope="module")
def run(bench: Bench, data: Path, stripes_checkpoint: Path) -> Path:
    folder = data.parent / "run"
    assert bench("eval", stripes_checkpoint, "--data", data, "--output", folder).code == 0
    return folder


def pixels_of(address: str) -> np.ndarray:
    kind, _, text = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int)


def test_strips_hold_the_query_its_match_and_the_impostors_in_order(run: Path, data: Path) -> None:
    table, top = read_ranking(run / "ranking.csv").table, read_top(run)
    query = str(table.sort_values("rank_high").iloc[-1]["query"])
    source = open_images(read_record(run / "result.json"), None, table["query"])
    (strip,) = strips(source, table, top, [query])
    row = table[table["query"] == query].iloc[0]
    assert strip.query.key == query
    assert strip.match.key == row["match"]
    assert strip.match.caption == f"rank {row['rank_high']} of 230, {row['score']:.3f}"
    assert strip.match.name == row["match"].split("/")[-1]
    expected = top[(top["query"] == query) & (top["match"] == 0)]["gallery"].tolist()[:6]
    assert [tile.key for tile in strip.impostors] == expected
    assert row["match"] not in expected
    for tile in (strip.query, strip.match, *strip.impostors):
        original = decode((data / "sysu_test_set_all" / tile.key).read_bytes(), 192, 96, "bicubic").transpose(1, 2, 0)
        assert np.abs(pixels_of(tile.address) - original).mean() < 8


def test_the_page_with_images_says_that_it_is_local(bench: Bench, run: Path, data: Path, tmp_path: Path) -> None:
    done = bench("report", run, "--images", "--compare", run)
    assert done.code == 0, done.err
    assert "for this machine only" not in done.err, "its people are drawn"
    path = run / "report-local.html"
    assert path.stat().st_mode & 0o077 == 0
    html = path.read_text()
    page = outline(re.sub(r"<img ([^>]*)>", r"<img \1></img>", html))
    assert "Practice run on drawn people" in page.text, "and no data agreement holds for them"
    assert "For this machine only" not in page.text
    assert "img-src data:" in html
    pictures = [address for address in page.addresses if not address.startswith("#")]
    assert len(pictures) >= 40
    for kind in ("query", "match", "impostor"):
        assert f"<b>{kind}</b>" in html
    assert all(address.startswith("data:image/jpeg;base64,") for address in pictures)
    assert bench("report", run).code == 0
    plain = (run / "report.html").read_text()
    assert "data:image" not in plain
    assert "For this machine only" not in plain
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    assert bench("report", run, "--images", "--data", moved, "--output", tmp_path / "page.html").code == 0
    assert bench("report", run, "--data", moved).code == 2
    real = Path(shutil.copytree(run, tmp_path / "real"))
    found = json.loads((real / "result.json").read_text())["data"]
    reseal(real / "result.json", data={**found, "drawn": False})
    done = bench("report", real, "--images")
    assert "real people: for this machine only" in done.err
    html = (real / "report-local.html").read_text()
    assert "For this machine only: this page contains images of sysu30k" in html
    assert "Practice run" not in html


def test_images_that_are_gone_other_or_damaged(run: Path, own_twin: Path, data: Path, tmp_path: Path) -> None:
    record = read_record(run / "result.json")
    with pytest.raises(DataError, match=r"no longer at"):
        open_images(record, tmp_path / "gone", [])
    with pytest.raises(UsageError, match="of its images are missing"):
        make_report(run, images=True, data=own_twin)
    own = record.model_copy(update={"data": record.data.model_copy(update={"dataset": "own-labels"})})
    with pytest.raises(UsageError, match="its own labels"):
        open_images(own, None, [])
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    table = read_ranking(run / "ranking.csv").table
    query = str(table.sort_values("rank_high", ascending=False, kind="stable").iloc[0]["query"])
    (moved / "sysu_test_set_all" / query).write_bytes(b"no image")
    (strip,) = strips(open_images(record, moved, [query]), table, read_top(run), [query])
    assert (strip.query.address, strip.match.address[:5]) == ("", "data:")
    assert 'class="lost"' in make_report(run, images=True, data=moved)
    assert 'class="lost"' not in make_report(run, images=True)


def test_lists_that_cannot_be_read(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / "top.csv").write_text("query,place\n1,2\n")
    with pytest.raises(IntegrityError, match=r"top\.csv is not the file that search\.json records"):
        make_report(copy, images=True)
    retell(copy)
    with pytest.raises(UsageError, match="no list of the best images"):
        make_report(copy, images=True)
    (copy / "top.csv").unlink()
    with pytest.raises(DataError, match="there is no"):
        make_report(copy, images=True)
    assert "hubness" not in make_report(copy)


def test_a_browser_shows_the_pictures_and_fetches_nothing(browser: Browser, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(make_report(run, run, images=True))
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else faults.append(request.url)
    )
    page.goto(path.as_uri())
    for width in (360, 800, 1250):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    borders = page.eval_on_selector_all(
        ".strip",
        """strips => strips.map(one => [...one.querySelectorAll('img')]
        .map(image => getComputedStyle(image).borderColor))""",
    )
    assert all(len({found[0], found[1], found[2]}) == 3 for found in borders), "query, match and impostor"
    widths = page.eval_on_selector_all("img", "pictures => pictures.map(one => one.naturalWidth)")
    assert len(widths) >= 40
    assert set(widths) == {96}
    assert page.locator(".local").is_visible()
    assert page.locator("figure svg").count() == 4
    assert faults == []
    context.close()
