"""What `leaderboard check` says to bad submissions, word for word; SYSU30K_TESTS_GOLDEN=1 rewrites it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sysu30k_bench.board.checks.check import check_board
from tests.board.forged import ROWS
from tests.board.test_check import CASES

GOLDEN = Path(__file__).with_name("check.golden")


def test_every_word_of_the_check(board: Path, published: Path, tmp_path: Path) -> None:
    said = []
    cases = [(board, *case) for case in CASES] + [(published, *case) for case in ROWS]
    for number, (whole, name, change, _) in enumerate(cases):
        copy = tmp_path / str(number)
        shutil.copytree(whole, copy)
        change(copy)
        said += [f"# {name}", *check_board(copy), ""]
        shutil.rmtree(copy)
    text = "\n".join(said)
    assert str(tmp_path) not in text
    if os.environ.get("SYSU30K_TESTS_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
        pytest.skip("rewritten: read the difference before it is committed")
    assert text == GOLDEN.read_text(encoding="utf-8")
