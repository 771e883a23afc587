"""Statuses set by commands, and what stands behind them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sysu30k_bench.board.audit.confirmation import Audit, row_digest
from sysu30k_bench.board.checks.change import check_change
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.render import Board, render_site, write_board
from sysu30k_bench.board.rows import Row
from sysu30k_bench.board.status import confirm, rescore
from sysu30k_bench.errors import CheckFailedError, DataError, UsageError
from tests.board.bad import put
from tests.conftest import Outcome

Bench = Callable[..., Outcome]
NAME = "new-method"


def row_in(board: Path) -> Row:
    return Row.model_validate_json((board / "rows" / f"{NAME}.json").read_bytes())


def findings(**changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "queries": 100,
        "of_queries": 1000,
        "distractors": 1000,
        "of_distractors": 477_731,
        "impostors": 950,
        "compute": "fp32",
        "distance": 1e-6,
        "lean": 1e-8,
    }
    return {**said, **changes}


def audit_of(board: Path, found: dict[str, Any] | None = None, **changes: Any) -> Audit:
    said: dict[str, Any] = {
        "row": NAME,
        "row_sha256": row_digest(row_in(board)),
        "by": "a maintainer",
        "date": "2026-01-31",
        "tool": "sysu30k-bench 0.1.0",
        "device": "cpu",
        "nonce": "a later commit",
        "found": findings(**(found or {})),
    }
    return Audit(**{**said, **changes})


def test_a_row_that_stands_is_rescored(bench: Bench, board: Path) -> None:
    done = bench("leaderboard", "rescore", NAME, "--board", board)
    assert (done.code, done.out) == (
        0,
        f"{NAME}: re-scored\nnext: sysu30k-bench leaderboard render {board} --no-site\n",
    )
    assert row_in(board).status == "re-scored"
    assert check_board(board) == []
    assert rescore(board, NAME).status == "re-scored"


def test_a_row_that_does_not_stand_is_not(board: Path) -> None:
    put(rank1=0.5)(board)
    with pytest.raises(CheckFailedError, match="its status stays self-reported") as caught:
        rescore(board, NAME)
    assert "rank1 is 0.5" in caught.value.details[0]
    for trick in (f"./{NAME}", f"../rows/{NAME}"):
        with pytest.raises(UsageError, match="is no id of a row"):
            rescore(board, trick)
    put(rank1=5)(board)
    with pytest.raises(UsageError, match="is no row"):
        rescore(board, NAME)
    with pytest.raises(UsageError, match="only reported"):
        rescore(board, "dgl")
    with pytest.raises(DataError, match="there is no row"):
        rescore(board, "nobody")


def test_an_audit_raises_the_status_and_shows_on_the_page(board: Path) -> None:
    confirm(board, audit_of(board), "audited")
    assert row_in(board).status == "audited"
    assert check_board(board) == []
    page = render_site(Board.open(board))[f"rows/{NAME}.html"].decode()
    assert "Audited by a maintainer on 2026-01-31 on cpu (nonce a later commit): 100 queries, their matches" in page
    assert rescore(board, NAME).status == "audited"  # never back


def test_confirmations_are_held_against_their_row(board: Path) -> None:
    found = audit_of(board)
    confirm(board, found, "audited")
    put(weights="others")(board)
    said = f"confirmations/{NAME}.audit.json: it belongs to another row, or the row was changed since"
    assert check_board(board) == [said]
    with pytest.raises(CheckFailedError, match="does not confirm"):
        confirm(board, found, "audited")
    shutil.move(board / "confirmations" / f"{NAME}.audit.json", board / "confirmations" / f"{NAME}.reproduction.json")
    faults = check_board(board)
    assert f"confirmations/{NAME}.reproduction.json: its file name names another kind" in faults
    assert f"rows/{NAME}.json: audited, and there is no confirmations/{NAME}.audit.json" in faults


@pytest.mark.parametrize(
    "changes",
    [
        {"found": {"distance": 0.5}},
        {"found": {"distance": float("nan")}},
        {"found": {"lean": 0.01}},
        {"found": {"queries": 99}},
        {"found": {"distractors": 999}},
        {"found": {"compute": "fp8"}},
        {"nonce": ""},
        {"nonce": "short"},
        {"by": "<b>"},
        {"by": "x\ny"},
        {"date": "yesterday"},
        {"row_sha256": "0"},
    ],
)
def test_what_confirms_nothing(board: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        audit_of(board, **changes)


@pytest.mark.parametrize("changes", [{"compute": "bf16"}, {"of_queries": 100}])
def test_findings_of_another_kind_of_run_confirm_nothing(board: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CheckFailedError, match="does not confirm"):
        confirm(board, audit_of(board, changes), "audited")


def test_only_maintainers_confirm(board: Path, tmp_path: Path) -> None:
    write_board(board)
    base = tmp_path / "base"
    shutil.copytree(board, base)
    confirm(board, audit_of(board), "audited")
    assert check_change(board, base) == [
        f"rows/{NAME}.json: only a maintainer changes self-reported to audited",
        f"confirmations/{NAME}.audit.json: confirmations are a maintainer's",
    ]
    write_board(board)
    assert check_change(board, base, by_maintainer=True) == []
    shutil.rmtree(base)
    shutil.copytree(board, base)
    path = board / "confirmations" / f"{NAME}.audit.json"
    path.write_text(path.read_text().replace("a maintainer", "another"))
    for maintainer in (False, True):
        assert check_change(board, base, by_maintainer=maintainer) == [
            f"confirmations/{NAME}.audit.json: it was there and is gone or changed"
        ]


def test_one_form_at_a_time_on_stdout(bench: Bench, board: Path) -> None:
    assert bench("leaderboard", "export", "csv", "--board", board).out.startswith("group,method,")
    assert "name: New Method" in bench("leaderboard", "export", "model-index", NAME, "--board", board).out
    assert json.loads(bench("leaderboard", "export", "schema", "--board", board).out)["title"] == "Row"
    assert bench("leaderboard", "export", "csv", NAME, "--board", board).code == 2
    assert bench("leaderboard", "export", "model-index", "--board", board).code == 2
    missing = bench("leaderboard", "export", "model-index", "nobody", "--board", board)
    assert missing.code == 2
    assert NAME in missing.err
