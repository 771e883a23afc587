"""The gate of the board: what a maintainer's build says to a submission, one line a fault."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container
from pathlib import Path

from pydantic import ValidationError

from sysu30k_bench.board.audit.confirmation import (
    CONFIRMATIONS,
    KINDS,
    NEEDED,
    faults_of,
    read_confirmation,
)
from sysu30k_bench.board.checks.contradictions import score_faults
from sysu30k_bench.board.checks.corrections import correction_faults
from sysu30k_bench.board.checks.duplicates import duplicates
from sysu30k_bench.board.checks.evidence import list_faults, read_backing
from sysu30k_bench.board.practice import MARK_NAME, Rules, rules_of
from sysu30k_bench.board.rows import EVIDENCE, ROWS, Row, parse_row
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.search.ranking import Ranking

MAX_ROW_BYTES = 64 << 10
FOLDERS = (ROWS, EVIDENCE, CONFIRMATIONS, "model-index")
_LONGEST = 300


def check_board(board: Path, before: Container[str] = ()) -> list[str]:
    """Checks every row of a board.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        before: Ids of rows that stood before a change: their lists are the gallery's.

    Returns:
        One line a fault, in the order of the files; none where all is well.

    Raises:
        DataError: There is no board.
    """
    folder = board / ROWS
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", hint="give the folder that contains rows/")
    faults = [f"{name}: a link, not a folder" for name in FOLDERS if (board / name).is_symlink()]
    if faults:
        return faults
    try:
        rules = rules_of(board)
    except IntegrityError:
        return [f"{MARK_NAME}: does not mark a practice board"]
    rows = read_rows(board, faults)
    faults += _stray(board, rows)
    said: list[tuple[str, str]] = []
    rankings: dict[str, Ranking] = {}
    for row in rows.values():
        said += [(row.id, one) for one in _kind(row, rules)]
        if row.evidence is None:
            said += [(row.id, one) for one in [*_count(row, rules), *score_faults(row)]]
        else:
            ranking, found = read_backing(board, row)
            said += [(row.id, one) for one in found]
            if ranking is not None:
                rankings[row.id] = ranking
        said += [(row.id, one) for one in _date(row)]
    faults += [f"{ROWS}/{name}.json: {printed(one)}" for name, one in said]
    faults += _confirmed(board, rows)
    known = list(rows.values())
    between = [*correction_faults(rows), *list_faults(known, before, rankings), *duplicates(known, before, rankings)]
    return faults + [f"{ROWS}/{name}.json: {one}" for name, one in between]


def _kind(row: Row, rules: Rules) -> list[str]:
    if bool(row.practice) == rules.practice:
        return []
    return ["not a practice row: a practice board takes no other" if rules.practice else "a practice row: it is of "
            "drawn people, and stands on a practice board only"]  # fmt: skip


def _count(row: Row, rules: Rules) -> list[str]:
    """More queries than exist would narrow a reported row's interval, and set it apart from others."""
    whose = "this practice board" if rules.practice else "SYSU-30k"
    return [] if row.n == rules.queries else [f"n = {row.n:,}; {whose} has {rules.queries:,} queries"]


def _date(row: Row) -> list[str]:
    tomorrow = (dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=1)).date().isoformat()
    return [f"its date {row.date} lies ahead"] if row.date is not None and row.date > tomorrow else []


def read_rows(board: Path, faults: list[str]) -> dict[str, Row]:
    """Reads every row that is one, by id.

    Args:
        board: The folder that holds `rows/`.
        faults: Where to put what is wrong with the others.
    """
    found = {path.stem: _row(path, faults) for path in sorted((board / ROWS).iterdir())}
    return {name: row for name, row in found.items() if row is not None}


def _stray(board: Path, rows: dict[str, Row]) -> list[str]:
    """Names files that are no row's evidence; those of rows whose own faults are told are passed over."""
    faults = []
    folder = board / EVIDENCE
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        plain = path.suffix == ".csv" and path.is_file() and not path.is_symlink()
        if path.stem in rows and rows[path.stem].evidence is None:
            faults.append(f"{EVIDENCE}/{printed(path.name)}: its row is only reported")
        elif not plain or not (board / ROWS / f"{path.stem}.json").is_file():
            faults.append(f"{EVIDENCE}/{printed(path.name)}: no row's evidence")
    return faults


def printed(text: str) -> str:
    """Makes names and messages of strangers fit for a log, where a line could be a command."""
    kept = text if text.isprintable() else ascii(text)[1:-1]
    return kept if len(kept) <= _LONGEST else kept[:_LONGEST] + " ..."


def _row(path: Path, faults: list[str]) -> Row | None:
    name = f"{ROWS}/{ascii(path.name)[1:-1]}"
    if path.is_symlink() or not path.is_file() or path.suffix != ".json":
        faults.append(f"{name}: not a plain .json file")
        return None
    if path.stat().st_size > MAX_ROW_BYTES:
        faults.append(f"{name}: larger than {MAX_ROW_BYTES:,} bytes")
        return None
    try:
        row = parse_row(path.read_bytes())
    except ValidationError as error:
        for one in error.errors():
            where = ".".join(map(str, one["loc"])) or "row"
            faults.append(f"{name}: {printed(where)}: {printed(one['msg'])}")
        return None
    except ValueError as error:
        faults.append(f"{name}: not JSON of a row: {ascii(str(error))[1:-1][:100]}")
        return None
    if row.id != path.stem:
        faults.append(f"{name}: its id is {row.id}")
        return None
    return row


def _confirmed(board: Path, rows: dict[str, Row]) -> list[str]:
    """Looks at what maintainers found, and for what statuses say that they did."""
    faults = []
    there = set()
    folder = board / CONFIRMATIONS
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        name, _, kind = path.name.removesuffix(".json").rpartition(".")
        if name not in rows or kind not in KINDS or path.suffix != ".json":
            faults.append(f"{CONFIRMATIONS}/{printed(path.name)}: no row's confirmation")
            continue
        try:
            found = read_confirmation(path)
            mismatch = ["its file name names another kind"] if found.kind != kind else faults_of(rows[name], found)
        except ValueError as error:
            mismatch = [str(error)]
        faults += [f"{CONFIRMATIONS}/{path.name}: {printed(one)}" for one in mismatch]
        there.add((name, kind))
    for row in rows.values():
        needed = NEEDED.get(row.status)
        if needed is not None and (row.id, needed) not in there:
            faults.append(f"{ROWS}/{row.id}.json: {row.status}, and there is no {CONFIRMATIONS}/{row.id}.{needed}.json")
    return faults
