"""`compare` and `gate` as a user types them, and the fixture as a project's tests use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tests.results.test_compare import write_ranking

Bench = Callable[..., Outcome]


def test_compare(bench: Bench, tmp_path: Path) -> None:
    runs = [write_ranking(tmp_path / name, ranks) for name, ranks in
            (("old", [1] * 30 + [2] * 70), ("new", [1] * 45 + [2] * 55), ("odd", [2] * 55 + [1] * 45))]  # fmt: skip
    outcome = bench("compare", *runs)
    assert outcome.code == 0, outcome.err
    assert "old -> new" in outcome.out
    assert "after Holm" in outcome.out
    assert "won: q30" in outcome.out
    found = bench("compare", *runs, "--json").json
    assert len(found["pairs"]) == 3
    assert found["pairs"][0]["rank1"]["value"] == pytest.approx(0.15)
    assert found["pairs"][0]["p"] == pytest.approx(2 / 2**15)
    assert bench("compare", runs[0]).code == 2
    assert bench("compare", runs[0], tmp_path / "nowhere").code == 3
    other = write_ranking(tmp_path / "short", [1, 2])
    refused = bench("compare", runs[0], other / "ranking.csv")
    assert refused.code == 2
    assert "98 are in only one of them" in refused.err


def test_gate(bench: Bench, tmp_path: Path) -> None:
    base = write_ranking(tmp_path / "base", [1] * 300 + [2] * 700)
    same = write_ranking(tmp_path / "same", [1] * 300 + [3] * 700)
    worse = write_ranking(tmp_path / "worse", [1] * 250 + [2] * 750)
    passed = bench("gate", same, "--baseline", base, "--max-drop", "1.0pp")
    assert passed.code == 0
    assert passed.out.startswith("passed: rank1 changed by +0.00 points over 1,000 queries")
    files = ("--markdown", tmp_path / "v.md", "--junit", tmp_path / "v.xml")
    failed = bench("gate", worse, "--baseline", base, "--json", *files)
    assert failed.code == 1
    assert failed.json["outcome"] == "worse"
    assert len(failed.json["lost"]) == 50
    assert "**failed**: worse" in (tmp_path / "v.md").read_text()
    assert "<failure" in (tmp_path / "v.xml").read_text()
    assert bench("gate", worse, "--baseline", base, "--max-drop", "10%").code == 0
    for drop in ("1", "-1pp", "lots"):
        assert bench("gate", worse, "--baseline", base, "--max-drop", drop).code == 2
    assert bench("gate", worse).code == 2
    assert bench("gate", worse, "--baseline", tmp_path / "nowhere").code == 3


def test_the_fixture_fails_a_projects_test(bench: Bench, tmp_path: Path) -> None:
    write_ranking(tmp_path / "base", [1] * 300 + [2] * 700)
    write_ranking(tmp_path / "worse", [1] * 250 + [2] * 750)
    (tmp_path / "test_project.py").write_text(
        "def test_same(sysu30k_gate):\n    sysu30k_gate('base', 'base')\n\n"
        "def test_worse(sysu30k_gate):\n    sysu30k_gate('worse', 'base', max_drop=0.01)\n"
    )
    suite = "import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_project.py']))"
    done = bench(cwd=tmp_path, before=suite)
    assert done.code == 1, done.out
    assert "1 failed, 1 passed" in done.out
    assert "worse: rank1 changed by -5.00 points" in done.out
