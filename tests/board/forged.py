"""Forged rows: evidence that denies itself, rows that are there already, and words that are not what they seem."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sysu30k_bench.search.ranking import COLUMNS
from tests.board.bad import Change, edit, put, put_evidence, rank, replaced

FIRST, BEHIND = 5, 900
"""Lines of a query whose match is at rank 1, and of one whose match is not."""


def cell(line: int, column: int, value: str) -> Change:
    """Puts a value into the evidence."""
    return rank(lambda lines: replaced(lines, line, column, value))


def cells(line: int, **values: str) -> Change:
    """Puts several values into a line of the evidence, by column."""
    return every(*(cell(line, COLUMNS.index(name), value) for name, value in values.items()))


def every(*changes: Change) -> Change:
    """One change after the other."""

    def change(board: Path) -> None:
        for one in changes:
            one(board)

    return change


def column(name: str, value: Callable[[str], str]) -> Change:
    """Changes a column of every line."""
    at = COLUMNS.index(name)

    def change(lines: list[str]) -> list[str]:
        split = [line.split(",") for line in lines[1:]]
        return [lines[0], *(",".join([*one[:at], value(one[at]), *one[at + 1 :]]) for one in split)]

    return rank(change)


def copied(name: str, of: str, **values: Any) -> Change:
    """Puts a row there a second time, under another id."""

    def change(board: Path) -> None:
        row = json.loads((board / "rows" / f"{of}.json").read_text())
        (board / "rows" / f"{name}.json").write_text(json.dumps({**row, "id": name, **values}))

    return change


def x(of: str, **values: Any) -> Change:
    """A row x, copied of another, whose method is called X."""
    return copied("x", of, **{"method": "X", **values})


def twin(**evidence: Any) -> Change:
    """Submits a ranking a second time: another score in one line, the same ranks."""

    def change(board: Path) -> None:
        text = (board / "evidence" / "new-method.csv").read_text()
        (board / "evidence" / "twin.csv").write_text(text)
        copied("twin", "new-method", method="Twin", source="https://example.org/twin")(board)
        edit(board, lambda row: row["evidence"].update(evidence), "twin")
        rank(lambda lines: replaced(lines, FIRST, COLUMNS.index("score"), "0.25"), "twin")(board)

    return change


DIGEST = "0123456789abcdef" * 4
CYRILLIC = "\u0406\u0406\u0421S"

# what is changed here is the row `new-method`, whose evidence is recomputed
EVIDENCE: list[tuple[str, Change, str]] = [
    # ranks, scores and margins
    ("first, and another wins", cell(FIRST, 6, "-0.5"), "1 match is alone at rank 1, and another image scores"),
    ("behind, and nobody wins", cell(BEHIND, 6, "0.5"), "1 match is behind rank 1, and no image scores higher"),
    ("first, and another as good", cell(FIRST, 6, "0.0"), "1 match is alone at rank 1, and another image scores"),
    ("behind, and none better", cell(BEHIND, 6, "0.0"), "1 match is behind rank 1, and no image scores higher"),
    ("a tie with a margin", cell(FIRST, 3, "2"), "1 match is tied at rank 1, with a margin that is not 0"),
    ("a score of billions", cell(FIRST, 5, "7000000000.0"), "1 score is no product of two unit vectors"),
    ("a score a little too large", cell(FIRST, 5, "1.003"), "1 score is no product of two unit vectors"),
    ("an impostor out of range", cell(BEHIND, 6, "-1.5"), "1 margin gives the best other image a score"),
    ("no margin", cell(FIRST, 6, ""), "1 margin is missing"),
    ("a better rank alone", cells(BEHIND, rank_low="1", rank_high="1"), "1 match is alone at rank 1, and another"),
    ("one measurement for all", every(column("score", lambda _: "0.5"), column("margin", lambda old: f"{old[:1]}0.1")),
     "matches have score and margin of another query: measured values do not repeat"),
    # keys
    ("one match for all", column("match", lambda _: "gallery/000028311/000028311_c1_1.jpg"), "have the match of"),
    ("a person asked for twice", cell(2, 0, "query/000028311/000028311_c2_3.jpg"), "1 query shows a person of"),
    ("a number for a key", cell(FIRST, 0, "5"), "1 key is none of SYSU-30k"),
    ("a key of another data set", cell(FIRST, 1, "gallery/0002_c1s1_000451_03.jpg"), "of another person than"),
    ("a distractor for a query", cell(FIRST, 0, "query/0000others_c2_1.jpg"), "1 key is none of SYSU-30k"),
    ("the query's own camera", cell(1, 1, "gallery/000028311/000028311_c2_1.jpg"), "or of its own camera"),
    ("a query for a match", cell(1, 1, "query/000028311/000028311_c1_1.jpg"), "1 key is none of SYSU-30k"),
    ("a key that climbs", cell(1, 1, "gallery/../000028311_c1_1.jpg"), "1 key is none of SYSU-30k"),
    ("a camera in another script", cell(1, 1, "gallery/a/000028311_c\u0661_1.jpg"), "1 key is none of SYSU-30k"),
    ("a person in another script", cell(1, 1, "gallery/a/\u0662\u0668\u0663_c1_1.jpg"), "1 key is none of SYSU-30k"),
    ("a key with a filler", cell(1, 1, "gallery/a\u3164/000028311_c1_1.jpg"), "keys with control characters"),
    ("a formula behind a blank for a key", cell(1, 0, " =1+1"), "keys with control characters"),
    # digits and fields
    ("a score in another script", cell(FIRST, 5, "\u0660.\u0665"), "line 6 differs from what `search` writes"),
    ("a rank in another script", cell(FIRST, 2, "\u0661"), "evidence/new-method.csv is not a ranking"),
    ("a size in full width", cell(FIRST, 4, "\uff14"), "evidence/new-method.csv is not a ranking"),
    ("spare digits", cell(FIRST, 5, "0.500"), "line 6 differs from what `search` writes"),
    ("underscores in a number", cell(FIRST, 5, "0.5_0"), "line 6 differs from what `search` writes"),
    ("a rank with a sign", cell(BEHIND, 2, "+3"), "line 901 differs from what `search` writes"),
    ("too few fields", rank(lambda lines: [*lines[:-1], ",".join(lines[-1].split(",")[:6])]), "line 1001 differs"),
    ("a byte order mark", rank(lambda lines: ["\ufeff" + lines[0], *lines[1:]]), "line 1 differs from what"),
    ("quotes for nothing", rank(lambda lines: [f'"query"{lines[0][5:]}', *lines[1:]]), "line 1 differs from what"),
    # digests
    ("one digest for two", put_evidence(card_sha256=DIGEST, weights_sha256=DIGEST), "weights_sha256 and card_"),
    ("a digest that nothing has", put_evidence(shards_root="0" * 64), "shards_root is no digest"),
    # rankings that are there already
    ("another's embeddings", twin(), "twin.json: it commits to the embeddings of new-method"),
    ("another's ranks", twin(shards_root=DIGEST), "twin.json: it has the same ranks as new-method"),
    ("another's weights", every(twin(shards_root=DIGEST), rank(lambda old: replaced(old, BEHIND, 3, "477"), "twin")),
     "`leaderboard reproduce` and is not a row: the same weights and card as new-method"),
]  # fmt: skip

# what is changed here are rows that are only reported
ROWS: list[tuple[str, Change, str]] = [
    # rows that are there already
    ("a row under another id", copied("iics2", "iics"), "iics2.json: the same paper, source and scores as iics"),
    ("a name of other letters", copied("iics4", "iics", method=CYRILLIC), "iics4.json: its name looks like that of"),
    ("a new figure for a name", x("iics", method="I I CS", rank1=0.4), "x.json: its name looks like that of iics"),
    ("a name in full width", x("iics", method="\uff29\uff29\uff23\uff33", rank1=0.4), "its name looks like that of"),
    ("digits for letters", x("iics", method="1lCS", rank1=0.4), "x.json: its name looks like that of iics"),
    ("an id that passes for another", copied("i1cs", "iics", method="X", rank1=0.4), "its id looks like iics"),
    ("a claim by other words", x("iics", source="https://example.org"), "x.json: the same scores as iics"),
    ("a claim by other slashes", x("dgl", source="http://github.com/wanggrun/sysu-30k/ (README, leaderboard)",
                                   paper={"title": "T", "url": "http://www.arxiv.org/pdf/1904.03845v2"}), "as dgl"),
    ("a claim by another paper", x("iics", paper={"title": "T"}), "x.json: the same scores as iics"),
    ("a claim of nobody", x("iics", paper=None, source="https://example.org"), "x.json: the same scores as iics"),
    ("a claim rounded", x("iics", rank1=0.3601, rank5=None), "x.json: the same paper, source and scores as iics"),
    ("a claim without a paper", x("unnamed_ssl"), "x.json: the same paper, source and scores as unnamed_ssl"),
    # rows without evidence
    ("a million queries", x("dgl", n=10**6), "x.json: n = 1,000,000; SYSU-30k has 1,000 queries"),
    ("rank-5 below rank-1", x("dgl", rank5=0.2), "x.json: rank1 is 0.269 and rank5 is 0.2: it cannot be less"),
    ("an AP out of reach", x("dgl", ap_trapezoid=0.5), "ap_trapezoid is 0.5, and rank1 allows 0.4517 at most"),
    ("a date that lies ahead", x("dgl", rank1=0.1, date="2999"), "x.json: its date 2999 lies ahead"),
    # words
    ("a filler", put("dgl", method="New\u3164Method"), "invisible or stacked characters"),
    ("a blank of Braille", put("dgl", claimed_by="me\u2800"), "invisible or stacked characters"),
    ("a variation selector", put("dgl", method="New\ufe0fMethod"), "invisible or stacked characters"),
    ("a joiner of graphemes", put("dgl", weights="a\u034fb"), "invisible or stacked characters"),
    ("no width", put("dgl", method="New\u200bMethod"), "markup or control characters"),
    ("text turned round", put("dgl", notes="\u202edohteM"), "markup or control characters"),
    ("accents in a pile", put("dgl", method="Ne\u0301\u0302\u0303w"), "invisible or stacked characters"),
    ("an accent on nothing", put("dgl", method="N \u0305w"), "invisible or stacked characters"),
    ("a circle around", put("dgl", method="N\u20ddw"), "invisible or stacked characters"),
    ("marks of a script in a pile", put("dgl", notes="\u0e01\u0e34\u0e34\u0e34"), "invisible or stacked characters"),
    ("markup in full width", put("dgl", method="\uff1cb\uff1e"), "markup or control characters"),
    ("a formula behind a blank", put("dgl", method=" =1+1"), "a spreadsheet would calculate"),
    ("a formula in full width", put("dgl", method="\uff1dHYPERLINK(1)"), "a spreadsheet would calculate"),
    ("a formula of superscripts", put("dgl", notes="\u207a1"), "a spreadsheet would calculate"),
    ("a formula behind a quote", put("dgl", method='"=1+1'), "a spreadsheet would calculate"),
    ("a formula in a second cell", put("dgl", method="a;=1+1"), "a spreadsheet would calculate"),
    ("a long minus", put("dgl", method="\u22121"), "a spreadsheet would calculate"),
    ("a blank at the end", put("dgl", method="New "), "begins or ends with a space"),
    ("a host that is a name", put("dgl", source="https://github.com@evil.example/x"), "a link whose host is not plain"),
    ("a host of other letters", put("dgl", notes="see https://g\u0456thub.com/x"), "a link whose host is not plain"),
]  # fmt: skip
