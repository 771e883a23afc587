"""Submissions that a board refuses: ways to change one that stands, each with the words that name the fault."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.board.made import GALLERY

NAME = "new-method"
Change = Callable[[Path], None]


def edit(board: Path, change: Callable[[dict[str, Any]], None], name: str = NAME) -> None:
    """Changes what a row's file says."""
    path = board / "rows" / f"{name}.json"
    row = json.loads(path.read_text())
    change(row)
    path.write_text(json.dumps(row))


def put(name: str = NAME, **values: Any) -> Change:
    """Puts other values into a row."""
    return lambda board: edit(board, lambda row: row.update(values), name)


def put_evidence(name: str = NAME, **values: Any) -> Change:
    """Puts other values into what a row says of its evidence."""
    return lambda board: edit(board, lambda row: row["evidence"].update(values), name)


def write(name: str, content: str | bytes) -> Change:
    """Writes a file into the board."""

    def change(board: Path) -> None:
        path = board / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def rank(change: Callable[[list[str]], list[str]], name: str = NAME) -> Change:
    """Changes the lines of the evidence, and the digest with them."""

    def run(board: Path) -> None:
        path = board / "evidence" / f"{name}.csv"
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(board, lambda row: row["evidence"].update(ranking_sha256=digest), name)

    return run


def replaced(lines: list[str], place: int, column: int, value: str) -> list[str]:
    """Lines with another value in one cell; line 0 holds the titles."""
    cells = lines[place].split(",")
    cells[column] = value
    return [*lines[:place], ",".join(cells), *lines[place + 1 :]]


BAD: list[tuple[str, Change, str]] = [
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
    ("no source", put(source=""), "source: String should have at least 1 character"),
    ("nobody claims it", put(claimed_by=""), "claimed_by: String should have at least 1 character"),
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
    ("a query too many", rank(lambda lines: [*lines, lines[-1].replace("29310", "29311")]), "1,001 queries"),
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
    ("keys twice", write("rows/broken.json", '{"rank1": 0.1, "rank1": 0.2}'), "keys occur twice: rank1"),
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
