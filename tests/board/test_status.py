"""Statuses set by commands, and what stands behind them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sysu30k_bench.board.check import check_board
from sysu30k_bench.board.confirmation import Audit, Reproduction, read_confirmation, row_digest
from sysu30k_bench.board.render import Board, render_site
from sysu30k_bench.board.rows import Row
from sysu30k_bench.board.status import confirm, reproduction, rescore
from sysu30k_bench.errors import CheckFailedError, DataError, UsageError
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.results.build import metrics_of, ties_of
from sysu30k_bench.results.record import EvaluationRecord
from sysu30k_bench.search.ranking import read_ranking
from tests.board.test_check import GALLERY, board, official_run, put  # noqa: F401  fixtures
from tests.conftest import Outcome
from tests.results.test_compare import write_ranking

Bench = Callable[..., Outcome]
NAME = "new-method"


def row_in(board: Path) -> Row:  # noqa: F811
    return Row.model_validate_json((board / "rows" / f"{NAME}.json").read_bytes())


def audit_of(board: Path, **changes: Any) -> Audit:  # noqa: F811
    said: dict[str, Any] = {
        "row": NAME,
        "row_sha256": row_digest(row_in(board)),
        "by": "a maintainer",
        "date": "2026-01-31",
        "tool": "sysu30k-bench 0.1.0",
        "device": "cpu",
        "queries": 100,
        "distractors": 100,
        "lowest_cosine": 0.9999999,
        "tolerance": 1e-5,
        "searched": True,
    }
    return Audit(**{**said, **changes})


@pytest.fixture
def repeated(official_run: Path, tmp_path: Path) -> Callable[[int], Path]:  # noqa: F811
    """Makes somebody else's run, in which some queries changed sides."""

    def make(flips: int) -> Path:
        run = Path(shutil.copytree(official_run, tmp_path / f"again-{flips}"))
        ranks = read_ranking(run / "ranking.csv").table["rank_low"].tolist()
        solved = [place for place, rank in enumerate(ranks) if rank == 1][:flips]
        write_ranking(run, [2 if place in solved else rank for place, rank in enumerate(ranks)], gallery=GALLERY)
        record = EvaluationRecord.model_validate_json((run / "result.json").read_bytes())
        summary = summarise(read_ranking(run / "ranking.csv"))
        record.model_copy(update={"metrics": metrics_of(summary), "ties": ties_of(summary)}).write(run)
        return run

    return make


def test_a_row_that_stands_is_rescored(bench: Bench, board: Path) -> None:  # noqa: F811
    done = bench("leaderboard", "rescore", NAME, "--board", board)
    assert (done.code, done.out) == (0, f"{NAME}: re-scored\n")
    assert row_in(board).status == "re-scored"
    assert check_board(board) == []
    assert rescore(board, NAME).status == "re-scored"


def test_a_row_that_does_not_stand_is_not(board: Path) -> None:  # noqa: F811
    put(rank1=0.5)(board)
    with pytest.raises(CheckFailedError, match="its status stays self-reported") as caught:
        rescore(board, NAME)
    assert "rank1 is 0.5" in caught.value.details[0]
    put(rank1=5)(board)
    with pytest.raises(UsageError, match="is no row"):
        rescore(board, NAME)
    with pytest.raises(UsageError, match="only reported"):
        rescore(board, "dgl")
    with pytest.raises(DataError, match="there is no row"):
        rescore(board, "nobody")


def test_an_audit_raises_the_status_and_shows_on_the_page(board: Path) -> None:  # noqa: F811
    confirm(board, audit_of(board), "audited")
    assert row_in(board).status == "audited"
    assert check_board(board) == []
    page = render_site(Board.open(board))[f"rows/{NAME}.html"].decode()
    assert "Audited by a maintainer on 2026-01-31: 100 queries, their matches and 100 distractors" in page
    assert rescore(board, NAME).status == "audited"  # never back


def test_confirmations_are_held_against_their_row(board: Path) -> None:  # noqa: F811
    found = audit_of(board)
    confirm(board, found, "audited")
    put(weights="others")(board)
    said = f"confirmations/{NAME}.audit.json: it is of another row, or the row was changed since"
    assert check_board(board) == [said]
    with pytest.raises(CheckFailedError, match="does not confirm"):
        confirm(board, found, "audited")
    shutil.move(board / "confirmations" / f"{NAME}.audit.json", board / "confirmations" / f"{NAME}.reproduction.json")
    faults = check_board(board)
    assert f"confirmations/{NAME}.reproduction.json: its name says otherwise" in faults
    assert f"rows/{NAME}.json: audited, and there is no confirmations/{NAME}.audit.json" in faults


@pytest.mark.parametrize(
    "changes",
    [
        {"lowest_cosine": 0.5},
        {"lowest_cosine": float("nan")},
        {"tolerance": 1.0},
        {"queries": 0},
        {"by": "<b>"},
        {"by": "x\ny"},
        {"date": "yesterday"},
        {"row_sha256": "0"},
    ],
)
def test_what_confirms_nothing(board: Path, changes: dict[str, Any]) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="validation error"):
        audit_of(board, **changes)


def test_only_maintainers_confirm(board: Path, tmp_path: Path) -> None:  # noqa: F811
    base = tmp_path / "base"
    shutil.copytree(board, base)
    confirm(board, audit_of(board), "audited")
    assert check_board(board, base) == [
        f"rows/{NAME}.json: only a maintainer makes self-reported audited",
        f"confirmations/{NAME}.audit.json: confirmations are a maintainer's",
    ]
    assert check_board(board, base, by_maintainer=True) == []
    path = board / "confirmations" / f"{NAME}.audit.json"
    path.write_text(path.read_text().replace("100", "900"))
    shutil.rmtree(base)
    shutil.copytree(board, base)
    path.write_text(path.read_text().replace("900", "100"))
    for maintainer in (False, True):
        assert check_board(board, base, by_maintainer=maintainer) == [
            f"confirmations/{NAME}.audit.json: it was there and is gone or changed"
        ]


def test_somebody_else_reproduces_a_row(bench: Bench, board: Path, repeated: Callable[[int], Path]) -> None:  # noqa: F811
    words = ["leaderboard", "reproduce", NAME, repeated(3), "--board", board]
    own = bench(*words, "--by", "Somebody")
    assert own.code == 2
    assert "somebody else has to repeat it" in own.err
    done = bench(*words, "--by", "another group")
    assert done.code == 0, done.err
    assert f"{NAME}: reproduced. Reproduced by another group" in done.out
    assert "3 queries lost and 0 won" in done.out
    assert check_board(board) == []
    found = read_confirmation(board / "confirmations" / f"{NAME}.reproduction.json")
    assert isinstance(found, Reproduction)
    assert row_in(board).rank1 - found.rank1 == pytest.approx(0.003)
    path = board / "confirmations" / f"{NAME}.reproduction.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "rank1": 0.9}))
    assert "does not fit the queries that changed sides" in check_board(board)[0]
    path.write_text(json.dumps({**said, "lost": 400}))
    assert "that confirms nothing" in check_board(board)[0]
    path.write_text(json.dumps({**said, "by": "SOMEBODY"}))
    assert "whoever claims a row cannot reproduce it" in check_board(board)[0]


def test_runs_that_do_not_reproduce(board: Path, repeated: Callable[[int], Path]) -> None:  # noqa: F811
    with pytest.raises(CheckFailedError, match="6 of 1,000 queries changed sides") as caught:
        reproduction(board, NAME, repeated(6), "another group")
    assert len(caught.value.details) == 6
    run = repeated(1)
    record = json.loads((run / "result.json").read_text())
    record["model"]["weights_sha256"] = "1" * 64
    (run / "result.json").write_text(json.dumps(record))
    with pytest.raises(CheckFailedError, match="is not a repetition") as caught:
        reproduction(board, NAME, run, "another group")
    assert caught.value.details[0].startswith("weights_sha256: 111")
    record["official"], record["not_official_because"] = False, ["--limit 10"]
    (run / "result.json").write_text(json.dumps(record))
    with pytest.raises(CheckFailedError, match="is not official"):
        reproduction(board, NAME, run, "another group")


def test_one_form_at_a_time_on_stdout(bench: Bench, board: Path) -> None:  # noqa: F811
    assert bench("leaderboard", "export", "csv", "--board", board).out.startswith("group,method,")
    assert "name: New Method" in bench("leaderboard", "export", "model-index", NAME, "--board", board).out
    assert json.loads(bench("leaderboard", "export", "schema", "--board", board).out)["title"] == "Row"
    assert bench("leaderboard", "export", "csv", NAME, "--board", board).code == 2
    assert bench("leaderboard", "export", "model-index", "--board", board).code == 2
    missing = bench("leaderboard", "export", "model-index", "nobody", "--board", board)
    assert missing.code == 2
    assert NAME in missing.err
