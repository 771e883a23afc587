"""The practice board: the whole path of a submission on drawn people, and never mixed with the real board."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sysu30k_bench.board.audit.confirm import ConfirmRequest, audit_row, plan_row_audit
from sysu30k_bench.board.audit.confirmation import row_digest
from sysu30k_bench.board.checks.change import check_change
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.practice import MARK_NAME, SENTENCE, PracticeMark, other_reasons, read_mark
from sysu30k_bench.board.render import write_board
from sysu30k_bench.board.rows import Row, parse_row
from sysu30k_bench.board.status import confirm
from sysu30k_bench.board.submit import Claim, prepare
from sysu30k_bench.errors import CheckFailedError, IntegrityError, UsageError
from sysu30k_bench.progress import Silent
from sysu30k_bench.results.record import read_record
from tests.board.made import add_row, ranks_of
from tests.conftest import Outcome
from tests.sealing import reseal

Bench = Callable[..., Outcome]
CLAIM = Claim("mine", "Mine", "none", "https://example.org/code", "somebody", "epoch 800")


@pytest.fixture
def board(run: Path, tmp_path: Path) -> Path:
    """A practice board with one row."""
    folder = tmp_path / "practice"
    prepare(run, CLAIM, practice=True).write(folder)
    return folder


def test_a_run_on_drawn_people_is_submitted_checked_audited_and_rendered(
    board: Path, run: Path, ask: Callable[..., ConfirmRequest]
) -> None:
    assert json.loads((board / MARK_NAME).read_text()) == {"practice": True, "queries": 40, "gallery": 100}
    assert check_board(board) == []
    request = ask(run, board=board)
    found = audit_row(request, plan_row_audit(request, Silent()), Silent())
    assert confirm(board, found, "audited").status == "audited"
    write_board(board, board / "site")
    assert check_board(board) == []
    shutil.copytree(board, board.parent / "before")
    assert check_change(board, board.parent / "before") == []


def test_every_page_and_table_says_that_it_is_practice(board: Path) -> None:
    write_board(board, board / "site")
    pages = list((board / "site").rglob("*.html"))
    assert {page.name for page in pages} >= {"index.html", "queries.html", "mine.html"}
    for page in pages:
        text = page.read_text("utf-8")
        assert f"<strong>Practice board.</strong> {SENTENCE}" in text
        assert "<title>Practice: " in text
    for name in ("README.md", "leaderboard.csv", "leaderboard.tex", "leaderboard.json", "model-index/mine.yml"):
        assert "practice" in (board / name).read_text("utf-8").lower(), name


def test_a_claim_of_other_numbers_of_queries_is_told_whose_number_counts(board: Path) -> None:
    row = parse_row((board / "rows" / "mine.json").read_bytes())
    claim = row.model_copy(update={"id": "other", "evidence": None, "status": "reported", "n": 41})
    (board / "rows" / "other.json").write_text(claim.model_dump_json())
    assert "rows/other.json: n = 41; this practice board has 40 queries" in check_board(board)


def test_the_real_board_has_no_such_words(tmp_path: Path) -> None:
    add_row(tmp_path, "alpha", ranks_of(310, 310))
    write_board(tmp_path, tmp_path / "site")
    for path in [*(tmp_path / "site").rglob("*.html"), tmp_path / "README.md", tmp_path / "leaderboard.json"]:
        assert "ractice board" not in path.read_text("utf-8")


def test_a_practice_row_is_refused_by_the_real_board(board: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    add_row(real, "alpha", ranks_of(310, 310))
    assert check_board(real) == []
    for kind in ("rows", "evidence"):
        shutil.copytree(board / kind, real / kind, dirs_exist_ok=True)
    faults = check_board(real)
    assert any(fault.startswith("rows/mine.json: a practice row") for fault in faults)
    assert any("40 queries" in fault for fault in faults)


def test_a_practice_row_of_the_published_sizes_is_refused_by_the_real_board(tmp_path: Path) -> None:
    """The mark alone decides, however well the rest fits."""
    add_row(tmp_path, "alpha", ranks_of(310, 310), practice=True)
    (fault,) = check_board(tmp_path)
    assert fault.startswith("rows/alpha.json: a practice row")


def test_a_real_row_is_refused_by_the_practice_board(board: Path) -> None:
    path = board / "rows" / "mine.json"
    row = json.loads(path.read_text())
    del row["practice"]
    path.write_text(json.dumps(row))
    assert check_board(board) == ["rows/mine.json: not a practice row: a practice board takes no other"]


def test_submit_writes_neither_kind_to_a_board_of_the_other(board: Path, run: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    add_row(real, "alpha", ranks_of(310, 310))
    with pytest.raises(UsageError, match="is no practice board"):
        prepare(run, CLAIM, practice=True).write(real)
    assert not (real / MARK_NAME).exists()
    practised = prepare(run, Claim("other", "Other", "none", "a", "b", "c"), practice=True)
    with pytest.raises(UsageError, match="takes practice rows only"):
        type(practised)(practised.row, practised.ranking).write(board)
    assert not (board / "rows" / "other.json").exists()


@pytest.mark.parametrize("maintainer", [False, True])
@pytest.mark.parametrize("turn", ["add", "alter", "remove", "link"])
def test_no_change_turns_a_board_into_the_other_kind(
    board: Path, tmp_path: Path, turn: str, *, maintainer: bool
) -> None:
    write_board(board)
    before = Path(shutil.copytree(board, tmp_path / "before"))
    mark = board / MARK_NAME
    if turn == "add":
        (before / MARK_NAME).unlink()
    elif turn == "alter":
        mark.write_text(PracticeMark(queries=41, gallery=100).model_dump_json())
    elif turn == "remove":
        mark.unlink()
    else:
        mark.rename(tmp_path / "elsewhere.json")
        mark.symlink_to(tmp_path / "elsewhere.json")
    (fault,) = check_change(board, before, by_maintainer=maintainer)
    assert fault.startswith(f"{MARK_NAME}: ")


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[" * 5000, '{"practice": false, "queries": 1, "gallery": 2}', '{"practice": true}', "x" * 9000],
)
def test_a_damaged_mark_is_a_fault_and_no_practice_board(board: Path, content: str) -> None:
    (board / MARK_NAME).write_text(content)
    assert check_board(board) == [f"{MARK_NAME}: does not mark a practice board"]
    with pytest.raises(IntegrityError, match="does not mark a practice board"):
        read_mark(board)


def test_drawn_lists_of_another_size_need_another_board(board: Path, run: Path) -> None:
    (board / MARK_NAME).write_text(PracticeMark(queries=300, gallery=3300).model_dump_json())
    with pytest.raises(UsageError, match=r"300 queries and 3,300 .* this run has 40 and 100"):
        prepare(run, Claim("other", "Other", "none", "a", "b", "c"), practice=True).write(board)


def test_what_the_real_board_would_refuse_is_refused_in_practice(run: Path) -> None:
    path = run / "result.json"
    record = json.loads(path.read_text())
    record["not_official_because"].append("--allow-partial: 2 tensors missing")
    path.write_text(json.dumps(record))
    reseal(path)
    with pytest.raises(CheckFailedError) as caught:
        prepare(run, CLAIM, practice=True)
    assert caught.value.details == ["--allow-partial: 2 tensors missing"]
    assert other_reasons(read_record(path)) == caught.value.details


def test_a_run_of_real_images_is_no_practice(run: Path) -> None:
    path = run / "result.json"
    record = json.loads(path.read_text())
    record["data"]["drawn"] = False
    path.write_text(json.dumps(record))
    reseal(path)
    with pytest.raises(UsageError, match="drawn people only"):
        prepare(run, CLAIM, practice=True)


def test_without_the_option_a_drawn_run_is_refused_and_the_hint_names_it(run: Path) -> None:
    with pytest.raises(CheckFailedError, match="not official") as caught:
        prepare(run, CLAIM)
    assert "--practice" in (caught.value.hint or "")


def test_the_mark_changes_no_digest_of_older_rows(board: Path, tmp_path: Path) -> None:
    """Confirmations hold a row's digest: those of rows without the mark stay valid."""
    row = add_row(tmp_path / "real", "alpha", ranks_of(310, 310))
    assert "practice" not in (tmp_path / "real" / "rows" / "alpha.json").read_text()
    practised = parse_row((board / "rows" / "mine.json").read_bytes())
    assert practised.practice is True
    assert row_digest(practised) != row_digest(practised.model_copy(update={"practice": None}))
    assert row_digest(row) == row_digest(Row.model_validate(row.model_dump(exclude={"practice"})))


def test_submit_practises_by_command(bench: Bench, honest_run: Path, tmp_path: Path) -> None:
    words = (
        "--id",
        "mine",
        "--method",
        "Mine",
        "--supervision",
        "none",
        "--source",
        "a",
        "--claimed-by",
        "b",
        "--weights",
        "c",
    )
    done = bench("submit", honest_run, "--practice", *words, cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "practice-board" / "rows" / "mine.json").is_file()
    assert bench("leaderboard", "check", "practice-board", cwd=tmp_path).code == 0
    assert bench("submit", honest_run, *words, cwd=tmp_path).code == 1


def test_the_same_submission_again_is_done_and_another_of_its_id_is_refused(board: Path, run: Path) -> None:
    """A kill may come after the row was written and before the command has ended."""
    row = board / "rows" / "mine.json"
    before = row.read_bytes()
    assert prepare(run, CLAIM, practice=True).write(board)[0] == row
    for other in (replace(CLAIM, weights="epoch 900"), CLAIM):
        with pytest.raises(UsageError, match="there is a row"):
            prepare(run, other, practice=True).write(board)
        assert row.read_bytes() == before
        (board / "evidence" / "mine.csv").unlink(missing_ok=True)


def test_show_prints_the_rows_of_a_board(bench: Callable[..., Outcome], board: Path, tmp_path: Path) -> None:
    [row] = bench("leaderboard", "show", board, "--json").json
    assert (row["id"], row["practice"]) == ("mine", True)
    said = bench("leaderboard", "show", board).out
    assert row["method"] in said
    assert "IICS" not in said
    assert "unverified" not in said
    assert bench("leaderboard", "show", tmp_path / "nowhere").code == 3
