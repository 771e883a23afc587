"""Rows, evidence, confirmations and run folders."""

# ruff: noqa: E501  data: one file of a stranger a line

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.fuzz.target import packed

ROOT = Path(__file__).parents[3]
_HEAD = "query,match,rank_low,rank_high,ranked,score,margin\n"


def ranking(queries: int) -> bytes:
    """A ranking of some queries, one match each."""
    random = np.random.default_rng(0)
    lines = [
        f"query/{28311 + n:09}/{28311 + n:09}_c2_2.jpg,gallery/{28311 + n:09}/{28311 + n:09}_c1_1.jpg,1,1,478731,"
        f"{float(random.uniform(0.3, 0.9))!r},{float(random.uniform(0.001, 0.2))!r}\n"
        for n in range(queries)
    ]
    return (_HEAD + "".join(lines)).encode()


def _lines(line: str) -> bytes:
    return ranking(3) + line.encode() + b"\n"


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    row = (ROOT / "leaderboard" / "rows" / "dgl.json").read_bytes()
    values = json.loads(row)
    found = {"queries": 100, "of_queries": 1000, "distractors": 1000, "of_distractors": 477731, "impostors": 900,
             "compute": "fp32", "distance": 1e-6, "lean": 1e-9}  # fmt: skip
    audit = {"kind": "audit", "row": "mine", "row_sha256": "0123" * 16, "by": "a", "date": "2026-01-31", "tool": "t",
             "device": "cpu", "nonce": "12345678", "found": found}  # fmt: skip
    rankings = {
        "valid": ranking(5),
        "lonely": _lines("q,,,,5,,"),
        "far": _lines("q,m,1,99999999999999999999,99999999999999999999,0.5,0.1"),
        "float": _lines("q,m,1.5,2,9,0.5,0.1"),
        "overflow": _lines("q,m,1,1,9,1e999,0.1"),
        "digits": _lines("q,m,1,1,9," + "9" * 5000 + ",0.1"),
        "quote": _lines('"q,m'),
        "nul": _lines("q\0,m,1,1,9,0.5,0.1"),
        "fields": _lines("," * 5000),
        "control": ranking(2).replace(b"margin", b"\x1b[2J"),
        "columns": b"a," * 20_000,
        "bytes": ranking(2) + b"\xff\xfe,\xff,1,1,9,0.5,0.1\n",
    }
    top = b"query,place,gallery,score,match\nq,1,g,0.5,1\n"
    tops = {"valid": top, "nan": top + b"q,2,g,nan,0\n", "text": top + b"q,x,g,0.5,z\n", "columns": b"a\n", "nul": b"\0",
            "far": top + b"q,99999999999999999999,g,1e400,1\n", "bytes": b"\xff\xfe\n", "quote": top + b'"', "empty": b""}  # fmt: skip
    keys = b"{" + b",".join(b'"k%d":1' % number for number in range(7000)) + b"}"
    rows = {
        "valid": row,
        "deep": b'{"a":' * 4000,
        "digits": row.replace(b"0.269", b"9" * 5000),
        "keys": keys,
        "control": json.dumps({**values, "method": "\x1b[2J"}).encode(),
        "surrogate": row.replace(b'"method": "', b'"method": "\\ud800'),
        "wide": json.dumps({**values, "method": "\uff1d1+1"}).encode(),
    }
    boards = {"valid": {"rows/dgl.json": row}}
    boards["evidence"] = {"rows/dgl.json": row, "evidence/\x1b[2J.csv": b"x", "confirmations/\x1b.audit.json": b"{}"}
    boards["links"] = {"@rows/x.json": b"../../../../secret.txt", "rows/dgl.json": row, "practice.json": b"["}
    boards["names"] = {"rows/\n::error::x.json": b"{}", "rows/dgl.json": keys, "practice.json": b"{}"}
    boards["folders"] = {"rows/dgl.json/x": row}
    runs = {name: {"ranking.csv": body, "top.csv": top} for name, body in rankings.items()}
    runs["records"] = {"ranking.csv": ranking(5), "result.json": b"[" * 9999, "search.json": b"{}"}
    runs["digits"] = {"ranking.csv": ranking(5), "search.json": b'{"a":' + b"9" * 9999 + b"}"}
    return {
        "row": rows,
        "confirmation": {"valid": json.dumps(audit).encode(), "deep": b"[" * 9000,
                         "control": json.dumps({**audit, "by": "\x1b[2J"}).encode(),
                         "huge": json.dumps({**audit, "found": {**found, "distance": 1e308}}).encode()},
        "ranking": rankings,
        "top": {name: packed({"top.csv": body}) for name, body in tops.items()},
        "record": {"empty": b"{}", "deep": b'{"a":' * 9999, "digits": b'{"metrics":' + b"9" * 5000 + b"}",
                   "control": b'{"\\u001b[2J":1}'},
        "board": {name: packed(files) for name, files in boards.items()},
        "run": {name: packed(files) for name, files in runs.items()},
    }  # fmt: skip
