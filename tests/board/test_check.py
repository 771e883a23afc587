"""The board's gate: one good submission, and some forty bad ones, each refused for its own reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sysu30k_bench.board.change import check_change
from sysu30k_bench.board.check import check_board
from sysu30k_bench.board.merkle import merkle_root
from sysu30k_bench.board.render import write_board
from sysu30k_bench.board.rows import Row, published_rows
from sysu30k_bench.board.submit import Claim, prepare, row_bytes
from sysu30k_bench.errors import CheckFailedError, DataError, IntegrityError, UsageError
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.results.build import metrics_of, ties_of
from sysu30k_bench.results.record import EvaluationRecord
from sysu30k_bench.search.ranking import read_ranking
from tests.conftest import Outcome
from tests.results.test_compare import write_ranking

Bench = Callable[..., Outcome]
GALLERY = 478_731
CLAIM = Claim("new-method", "New Method", "self supervised", "https://example.org/code", "somebody", "epoch 800")


@pytest.fixture(scope="session")
def official_run(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run folder whose record says that it was on the published lists, with ranks as such a run would have."""
    run = tmp_path_factory.mktemp("official") / "run"
    assert bench("eval", stripes_checkpoint, "--data", twin, "--output", run).code == 0
    ranks = np.random.default_rng(0).geometric(0.02, 1000).tolist()
    write_ranking(run, [1] * 200 + ranks[200:], gallery=GALLERY)
    record = EvaluationRecord.model_validate_json((run / "result.json").read_bytes())
    summary = summarise(read_ranking(run / "ranking.csv"))
    changes = {"official": True, "not_official_because": [], "metrics": metrics_of(summary), "ties": ties_of(summary)}
    record.model_copy(update=changes).write(run)
    return run


@pytest.fixture
def board(official_run: Path, tmp_path: Path) -> Path:
    """The published rows and one submission."""
    folder = tmp_path / "board"
    shutil.copytree(Path(__file__).parents[2] / "leaderboard" / "rows", folder / "rows")
    prepare(official_run, CLAIM).write(folder)
    return folder


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


def edit(board: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = board / "rows" / "new-method.json"
    row = json.loads(path.read_text())
    change(row)
    path.write_text(json.dumps(row))


def put(**values: Any) -> Callable[[Path], None]:
    def change(board: Path) -> None:
        edit(board, lambda row: row.update(values))

    return change


def put_evidence(**values: Any) -> Callable[[Path], None]:
    def change(board: Path) -> None:
        edit(board, lambda row: row["evidence"].update(values))

    return change


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def change(board: Path) -> None:
        path = board / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def rank(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Changes the lines of the evidence, and the digest with them."""

    def run(board: Path) -> None:
        path = board / "evidence" / "new-method.csv"
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(board, lambda row: row["evidence"].update(ranking_sha256=digest))

    return run


def replaced(lines: list[str], place: int, column: int, value: str) -> list[str]:
    cells = lines[place].split(",")
    cells[column] = value
    return [*lines[:place], ",".join(cells), *lines[place + 1 :]]


BAD: list[tuple[str, Callable[[Path], None], str]] = [
    ("better rank-1", put(rank1=0.9), "rank1 is 0.9 and the evidence gives"),
    ("a little better", lambda b: edit(b, lambda r: r.update(rank1=r["rank1"] + 1e-6)), "rank1 is"),
    ("another AP", put(ap_standard=0.99), "ap_standard is 0.99"),
    ("a missing score", lambda b: edit(b, lambda r: r.pop("rank5")), "rank5 is None"),
    ("above one", put(rank1=36.0), "rank1: Input should be less than or equal to 1"),
    ("below zero", put(rank1=-0.1), "rank1: Input should be greater"),
    ("text for a number", put(rank1="0.3"), "rank1: Input should be a valid number"),
    ("huge", put(n=10**30), "n: "),
    ("another n", put(n=999), "n = 999"),
    ("no method", put(method=""), "method: String should have at least 1"),
    ("a long name", put(method="x" * 5000), "method: String should have at most 100"),
    ("HTML", put(method="<script>alert(1)</script>"), "markup or control characters"),
    ("a table cell", put(notes="a | b"), "markup or control characters"),
    ("control characters", put(claimed_by="me\x1b[2J"), "markup or control characters"),
    ("a script for a link", put(paper={"title": "t", "url": "javascript:alert(1)"}), "paper.url"),
    ("an unknown key", put(verified=True), "verified: Extra inputs"),
    ("another version", put(row_version=2), "row_version"),
    ("path tricks", put(id="../../etc/passwd"), "id: String should match pattern"),
    ("another row's id", put(id="dgl"), "its id is dgl"),
    ("reported with evidence", put(status="reported"), "exactly when its status is more than"),
    ("a status of its own", put(status="certified"), "status: Input should be"),
    ("no evidence", lambda b: edit(b, lambda r: r.pop("evidence")), "exactly when its status is more than"),
    ("no file", lambda b: (b / "evidence/new-method.csv").unlink(), "there is no evidence/new-method.csv"),
    ("another digest", put_evidence(ranking_sha256="0" * 64), "not the file that the row was made of"),
    ("no digest", put_evidence(ranking_sha256="zz"), "evidence.ranking_sha256"),
    ("no shards", put_evidence(shards=0), "evidence.shards"),
    ("a query twice", rank(lambda lines: [*lines[:-1], lines[1]]), "a pair occurs twice"),
    ("a query left out", rank(lambda lines: lines[:-1]), "999 queries"),
    ("a query too many", rank(lambda lines: [*lines, lines[-1].replace("q999", "q1000")]), "1,001 queries"),
    ("rank zero", rank(lambda lines: replaced(lines, 5, 2, "0")), "ranks are out of range"),
    ("rank below its ties", rank(lambda lines: replaced(lines, 5, 3, "0")), "ranks are out of range"),
    ("rank beyond all", rank(lambda lines: replaced(lines, 900, 3, str(GALLERY + 1))), "ranks are out of range"),
    ("NaN for a score", rank(lambda lines: replaced(lines, 5, 5, "nan")), "ranks are missing"),
    ("text for a rank", rank(lambda lines: replaced(lines, 5, 2, "first")), "not a ranking"),
    ("a small gallery", rank(lambda lines: [line.replace(str(GALLERY), "5000") for line in lines]), "ranked 5,000"),
    ("two galleries", rank(lambda lines: replaced(lines, 5, 4, "478730")), "several sizes"),
    ("a formula for a query", rank(lambda lines: replaced(lines, 5, 0, "=1+1")), "keys with control characters"),
    ("a terminal's command", rank(lambda lines: replaced(lines, 5, 1, "q\x1b]0;x")), "keys with control characters"),
    ("more fields than columns", rank(lambda lines: [lines[0], *(f"x,{line}" for line in lines[1:])]), "not a ranking"),
    ("no columns", rank(lambda lines: lines[1:]), "not a ranking"),
    ("evidence of nobody", write("evidence/other.csv", "x"), "evidence/other.csv: no row's evidence"),
    ("evidence of a reported row", write("evidence/dgl.csv", "x"), "evidence/dgl.csv: its row is only reported"),
    ("large evidence", write("evidence/new-method.csv", b"x" * (2 << 20)), "larger than 1,048,576 bytes"),
    ("a large row", write("rows/large.json", " " * (65 << 10)), "larger than 65,536 bytes"),
    ("not JSON", write("rows/broken.json", "{"), "not JSON of a row"),
    ("NaN", write("rows/broken.json", '{"rank1": NaN}'), "NaN is no number"),
    ("keys twice", write("rows/broken.json", '{"rank1": 0.1, "rank1": 0.2}'), "keys stand twice: rank1"),
    ("deep", write("rows/broken.json", "[" * 60_000), "not JSON of a row"),
    ("a list", write("rows/broken.json", "[]"), "row: Input should be"),
    ("a command for the log", write("rows/broken.json", json.dumps({"k\n::error::x\x1b[31m": 1})), "Extra inputs"),
    ("a name for the log", write("evidence/a\n::warning::x.csv", "x"), "no row's evidence"),
    ("a spreadsheet's formula", put(method="=HYPERLINK(1)"), "a spreadsheet would calculate"),
    ("a link that ends early", put(paper={"title": "t", "url": "https://a.example/)x"}), "no blanks, brackets"),
    ("bytes", write("rows/broken.json", b"\xff\xfe\x00"), "not JSON of a row"),
    ("another file", write("rows/readme.txt", "hello"), "rows/readme.txt: not a plain .json file"),
    ("a link", lambda b: (b / "rows/link.json").symlink_to("/etc/passwd"), "rows/link.json: not a plain .json file"),
    ("audited by nobody", put(status="audited"), "audited, and there is no confirmations/new-method.audit.json"),
    ("reproduced by nobody", put(status="reproduced"), "there is no confirmations/new-method.reproduction.json"),
    ("a confirmation of nobody", write("confirmations/x.audit.json", "{}"), "no row's confirmation"),
    ("a confirmation of a kind", write("confirmations/new-method.praise.json", "{}"), "no row's confirmation"),
    ("an empty confirmation", write("confirmations/new-method.audit.json", "{}"), "Unable to extract tag"),
    ("a broken confirmation", write("confirmations/new-method.audit.json", "[" * 9000), "nested too deeply"),
    ("linked evidence", lambda b: _link(b / "evidence/new-method.csv"), "there is no evidence/new-method.csv"),
]  # fmt: skip


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_submissions_are_refused_for_the_right_reason(
    board: Path, change: Callable[[Path], None], said: str
) -> None:
    change(board)
    faults = check_board(board)
    assert any(said in fault for fault in faults), faults
    assert all("\n" not in fault and fault.isprintable() for fault in faults)


def test_forty_at_least() -> None:
    assert len(BAD) >= 40


def test_what_stood_may_only_get_a_better_status(board: Path, tmp_path: Path) -> None:
    write_board(board)
    base = tmp_path / "base"
    shutil.copytree(board, base)
    assert check_change(board, base) == []
    put(status="re-scored")(board)
    assert check_change(board, base) == ["rows/new-method.json: only a maintainer makes self-reported re-scored"]
    write_board(board)
    assert check_change(board, base, by_maintainer=True) == []
    put(status="self-reported", weights="others")(board)
    assert check_change(board, base) == ["rows/new-method.json: weights of a row that was there changed"]
    (base / "rows" / "new-method.json").rename(tmp_path / "kept.json")
    put(status="re-scored", weights=CLAIM.weights)(board)
    assert check_change(board, base) == [
        "rows/new-method.json: a new row is reported or self-reported; re-scored is a maintainer's"
    ]
    (tmp_path / "kept.json").rename(base / "rows" / "new-method.json")
    put(status="self-reported")(board)
    put(status="re-scored")(base)
    put(weights=CLAIM.weights)(board)
    assert check_change(board, base) == ["rows/new-method.json: its status went back from re-scored to self-reported"]
    (board / "rows" / "dgl.json").unlink()
    assert "rows/dgl.json: it was there and is gone, or cannot be read" in check_change(board, base)


def test_a_submission_changes_nothing_but_rows_and_what_follows_from_them(board: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(board, base)
    for name in ("rows/new-method.json", "evidence/new-method.csv"):
        (base / name).unlink()
    write_board(base)
    (base / "template").mkdir()
    (base / "template" / "board.js").write_text("let x;")
    shutil.copytree(base / "template", board / "template")
    stale = check_change(board, base)
    assert "README.md: not what the rows give; run `leaderboard render`" in stale
    write_board(board)
    assert check_change(board, base) == []
    (board / "README.md").write_text("DGL 99.9")
    assert check_change(board, base) == ["README.md: not what the rows give; run `leaderboard render`"]
    write_board(board)
    (board / "template" / "board.js").write_text("fetch('https://example.org')")
    (board / "__init__.py").write_text("import os")
    (board / "rows" / "deeper").mkdir()
    (board / "rows" / "deeper" / "x.json").write_text("{}")
    (board / "elsewhere").symlink_to("/etc")
    said = check_change(board, base)
    (board / "__pycache__").mkdir()
    (board / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"code that Python would load unseen")
    (board / "site").mkdir()
    (board / "site" / "index.html").write_text("not made by us")
    said += check_change(board, base)
    strange = ("__pycache__/__init__.cpython-311.pyc", "site/index.html")
    for name in ("__init__.py", "template/board.js", "rows/deeper/x.json", "elsewhere", *strange):
        assert f"{name}: a submission adds a row, its evidence and what `leaderboard render` makes of them" in said
    (board / "rows" / "deeper" / "x.json").unlink()
    (board / "rows" / "deeper").rmdir()
    assert check_change(board, base, by_maintainer=True) == []


def test_links_in_place_of_folders_are_refused(board: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(board, base)
    link = tmp_path / "link"
    link.symlink_to(base)
    for change in (link, base, base / "rows"):
        with pytest.raises(DataError, match="is a link, or lies in its own --base"):
            check_change(change, base)
    shutil.rmtree(board / "evidence")
    (board / "evidence").symlink_to(base / "evidence")
    assert check_board(board) == ["evidence: a link, not a folder"]


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


def test_queries_of_one_gallery_are_one_list(board: Path, official_run: Path) -> None:
    other = prepare(official_run, Claim("other", "Other", "none", "s", "c", "w"))
    other.write(board)
    assert check_board(board) == []
    path = board / "rows" / "other.json"
    row = json.loads(path.read_text())
    row["evidence"]["query_fingerprint"] = "1" * 64
    path.write_text(json.dumps(row))
    assert check_board(board) == ["rows/other.json: other queries than new-method on the same gallery"]
    row["evidence"]["query_fingerprint"] = other.row.evidence.query_fingerprint  # type: ignore[union-attr]
    path.write_text(json.dumps(row))
    rank(lambda lines: [line.replace("q7,", "x7,") for line in lines])(board)
    assert check_board(board) == ["rows/other.json: its evidence is of other queries than that of new-method"]


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
    write_ranking(copy, [1] * 1000, gallery=GALLERY)
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
    assert bench("leaderboard", "check", tmp_path / "board").out == "every row stands\n"
    assert bench(*words).code == 2
    path = tmp_path / "board" / "rows" / "mine.json"
    path.write_text(path.read_text().replace('"n": 1000', '"n": 1001'))
    checked = bench("leaderboard", "check", tmp_path / "board")
    assert checked.code == 1
    assert checked.out.splitlines()[-1] == "1 faults"
    assert bench("leaderboard", "check", tmp_path / "board", "--json").json["faults"]
    assert bench("leaderboard", "check", tmp_path / "nowhere").code == 3
