"""The board's gate: one good submission, and a hundred bad ones, each refused for its own reason."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sysu30k_bench.board.audit.merkle import merkle_root
from sysu30k_bench.board.checks.change import check_change
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.render import write_board
from sysu30k_bench.board.rows import SCORES, Row, parse_row, published_rows, row_bytes
from sysu30k_bench.board.submit import Claim, prepare
from sysu30k_bench.errors import CheckFailedError, DataError, IntegrityError, UsageError
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.models.card import Paper
from tests.board.bad import BAD, put, put_evidence, rank
from tests.board.conftest import CLAIM
from tests.board.forged import EVIDENCE, ROWS
from tests.board.made import add_row, ranks_of, write_evidence
from tests.conftest import Outcome
from tests.sealing import retell

Bench = Callable[..., Outcome]


CASES = [*BAD, *EVIDENCE]


def test_what_submit_writes_stands(board: Path) -> None:
    assert check_board(board) == []
    row = Row.model_validate_json((board / "rows" / "new-method.json").read_bytes())
    assert row.status == "self-reported"
    assert row.rank1 == pytest.approx(0.2, abs=0.03)
    assert row.n == 1000
    text = (board / "rows" / "new-method.json").read_text() + (board / "evidence" / "new-method.csv").read_text()
    assert "root" not in json.loads((board / "rows" / "new-method.json").read_text())
    assert str(board) not in text


def test_the_packages_own_rows_stand() -> None:
    assert check_board(Path(__file__).parents[2] / "leaderboard") == []
    with pytest.raises(DataError, match="no folder"):
        check_board(Path(__file__).parent)


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_submissions_are_refused_for_the_right_reason(
    board: Path, change: Callable[[Path], None], said: str
) -> None:
    change(board)
    faults = check_board(board)
    assert any(said in fault for fault in faults), faults
    assert all("\n" not in fault and fault.isprintable() for fault in faults)


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in ROWS], ids=[case[0] for case in ROWS])
def test_rows_without_evidence_are_refused_for_the_right_reason(
    published: Path, change: Callable[[Path], None], said: str
) -> None:
    test_bad_submissions_are_refused_for_the_right_reason(published, change, said)


def test_what_stood_may_only_get_a_better_status(board: Path, tmp_path: Path) -> None:
    write_board(board)
    base = tmp_path / "base"
    shutil.copytree(board, base)
    assert check_change(board, base) == []
    put(status="re-scored")(board)
    assert check_change(board, base) == ["rows/new-method.json: only a maintainer changes self-reported to re-scored"]
    write_board(board)
    assert check_change(board, base, by_maintainer=True) == []
    put(status="self-reported", weights="others")(board)
    assert check_change(board, base) == ["rows/new-method.json: weights of an existing row changed"]
    (base / "rows" / "new-method.json").rename(tmp_path / "kept.json")
    put(status="re-scored", weights=CLAIM.weights)(board)
    assert check_change(board, base) == [
        "rows/new-method.json: a new row is reported or self-reported; re-scored is a maintainer's"
    ]
    (tmp_path / "kept.json").rename(base / "rows" / "new-method.json")
    put(status="self-reported")(board)
    put(status="re-scored")(base)
    put(weights=CLAIM.weights)(board)
    assert check_change(board, base) == ["rows/new-method.json: its status was lowered from re-scored to self-reported"]
    (board / "rows" / "dgl.json").unlink()
    assert "rows/dgl.json: it existed before and is missing or unreadable now" in check_change(board, base)


def test_a_base_that_is_not_there_turns_nothing_off(board: Path, bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        check_change(board, tmp_path / "nowhere")
    assert bench("leaderboard", "check", board, "--base", tmp_path / "nowhere").code == 3
    assert bench("leaderboard", "check", board, "--maintainer").code == 2
    base = tmp_path / "base"
    shutil.copytree(board, base)
    (base / "rows" / "dgl.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        check_change(board, base)


def test_queries_and_matches_of_one_gallery_are_one_list(tmp_path: Path) -> None:
    add_row(tmp_path, "first", ranks_of(100, 1))
    add_row(tmp_path, "other", ranks_of(120, 2))
    assert check_board(tmp_path) == []
    put_evidence("other", query_fingerprint="12345678" * 8)(tmp_path)
    assert check_board(tmp_path) == ["rows/other.json: other queries than first on the same gallery"]
    put_evidence("other", query_fingerprint=sha256_of_text("query"))(tmp_path)
    before = (tmp_path / "evidence" / "other.csv").read_text()
    for column, what in ((0, "queries"), (1, "matches")):
        key = before.splitlines()[8].split(",")[column]
        rank(lambda lines, key=key: [line.replace(key, f"{key[:-4]}.png") for line in lines], "other")(tmp_path)  # type: ignore[misc]
        assert check_board(tmp_path) == [f"rows/other.json: its evidence is of other {what} than that of first"]
        rank(lambda _: before.splitlines(), "other")(tmp_path)
    assert check_board(tmp_path) == []


def test_a_row_with_evidence_may_back_one_that_is_only_reported(tmp_path: Path) -> None:
    """Whoever evaluates the weights behind a reported row finds its scores; the name must tell the two apart."""
    made = add_row(tmp_path, "backed", ranks_of(300, 1), "Backed", source="https://example.org/weights")
    scores = {name: getattr(made, name) for name in SCORES}
    paper = Paper(title="T", url="https://arxiv.org/abs/2101.00001", year=2021)
    changes = {"id": "told", "method": "Told", "status": "reported", "evidence": None, "paper": paper, **scores}
    told = made.model_copy(update={**changes, "source": "https://example.org/paper"})
    path = tmp_path / "rows" / "told.json"
    path.write_bytes(row_bytes(told))
    assert check_board(tmp_path) == []
    path.write_bytes(row_bytes(told.model_copy(update={"method": "backed"})))
    assert check_board(tmp_path) == ["rows/told.json: its name looks like that of backed"]
    path.write_bytes(row_bytes(told.model_copy(update={"paper": None, "source": made.source})))
    assert check_board(tmp_path) == ["rows/told.json: the same paper, source and scores as backed"]


def test_what_stood_before_is_not_the_copy(published: Path) -> None:
    row = parse_row((published / "rows" / "iics.json").read_bytes())
    (published / "rows" / "aaa.json").write_bytes(row_bytes(row.model_copy(update={"id": "aaa"})))
    assert {fault.split(":")[0] for fault in check_board(published)} == {"rows/aaa.json"}
    (published / "rows" / "zzz.json").write_bytes(row_bytes(row.model_copy(update={"id": "zzz", "method": "Z"})))
    said = check_board(published, before={"zzz"})
    assert {fault.split(":")[0] for fault in said} == {"rows/aaa.json", "rows/iics.json"}


def test_merkle_root_by_hand() -> None:
    def sha(content: bytes) -> bytes:
        return hashlib.sha256(content).digest()

    leaves = [sha(bytes([number])).hex() for number in range(3)]
    one, two, three = (sha(b"\x00" + bytes.fromhex(leaf)) for leaf in leaves)
    assert merkle_root(leaves[:1]) == one.hex()
    assert merkle_root(leaves) == sha(b"\x01" + sha(b"\x01" + one + two) + three).hex()
    assert merkle_root(leaves[::-1]) != merkle_root(leaves)


def test_rows_are_written_as_they_are_read() -> None:
    for row in published_rows():
        assert Row.model_validate_json(row_bytes(row)) == row


def test_runs_that_cannot_be_submitted(
    official_run: Path, own_twin: Path, bench: Bench, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert bench("eval", stripes_checkpoint, "--data", own_twin, "--output", run).code == 0
    with pytest.raises(CheckFailedError, match="not official") as caught:
        prepare(run, CLAIM)
    assert "drawn" in " ".join(caught.value.details)
    copy = tmp_path / "copy"
    shutil.copytree(official_run, copy)
    write_evidence(copy / "ranking.csv", [1] * 1000)
    retell(copy)
    with pytest.raises(IntegrityError, match="does not give the numbers"):
        prepare(copy, CLAIM)
    with pytest.raises(UsageError, match="cannot be a row") as wrong:
        prepare(official_run, Claim("../x", "<b>", "none", "s", "c", "w"))
    assert any("id" in detail for detail in wrong.value.details)
    with pytest.raises(UsageError, match="cannot be a row"):
        prepare(official_run, Claim("x", "m", "none", "s", "c", "w", paper_title="t", paper_url="javascript:x"))
    shutil.rmtree(copy)
    shutil.copytree(official_run, copy)
    (copy / "embeddings" / "gallery" / "manifest.json").unlink()
    with pytest.raises(DataError, match="no finished embeddings"):
        prepare(copy, CLAIM)


def test_submit_and_check_as_commands(bench: Bench, official_run: Path, tmp_path: Path) -> None:
    words = ["submit", official_run, "--id", "mine", "--method", "Mine", "--supervision", "none", "--source", "s",
             "--claimed-by", "me", "--weights", "w", "--board", tmp_path / "board"]  # fmt: skip
    shown = bench(*words, "--dry-run")
    assert shown.code == 0, shown.err
    assert not (tmp_path / "board").exists()
    made = bench(*words, "--paper-title", "T", "--paper-url", "https://example.org")
    assert made.code == 0, made.err
    assert bench("leaderboard", "check", tmp_path / "board").out == "no fault found\n"
    assert bench(*words).code == 2
    path = tmp_path / "board" / "rows" / "mine.json"
    path.write_text(path.read_text().replace('"n": 1000', '"n": 1001'))
    checked = bench("leaderboard", "check", tmp_path / "board")
    assert checked.code == 1
    assert checked.out.splitlines()[-1] == "1 fault"
    assert bench("leaderboard", "check", tmp_path / "board", "--json").json["faults"]
    assert bench("leaderboard", "check", tmp_path / "nowhere").code == 3


def test_tables_that_are_not_what_the_rows_give_are_named(bench: Bench, published: Path) -> None:
    write_board(published)
    assert bench("leaderboard", "check", published, "--json").json == {"faults": [], "outdated": []}
    (published / "leaderboard.csv").write_text("method,rank-1\nours,100.0\n")
    told = bench("leaderboard", "check", published)
    assert (told.code, told.out) == (0, "no fault found\n")
    assert f"leaderboard.csv is not what the rows give: run `sysu30k-bench leaderboard render {published}`" in told.err
    (published / "README.md").unlink()
    assert bench("leaderboard", "check", published, "--json").json["outdated"] == ["README.md", "leaderboard.csv"]


def test_the_check_of_a_board_loads_no_torch() -> None:
    program = "import sys, sysu30k_bench.board.checks.change; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
