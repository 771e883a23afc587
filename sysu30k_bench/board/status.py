"""Statuses that are more than a submitter's word: each set by a command, after what it says was done."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from sysu30k_bench._version import __version__
from sysu30k_bench.board.audit.confirmation import Confirmation, confirmation_path, faults_of
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.checks.evidence import backing_faults
from sysu30k_bench.board.rows import ROWS, STATUSES, Evidence, Row, Status, parse_row, row_bytes
from sysu30k_bench.errors import CheckFailedError, DataError, UsageError
from sysu30k_bench.files import write_atomically

TOOL = f"sysu30k-bench {__version__}"
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def row_of(board: Path, name: str) -> tuple[Row, Evidence]:
    """Reads a row whose numbers are those of its evidence.

    Raises:
        CheckFailedError: They are not.
        DataError: There is no such row.
        UsageError: It is only reported, or no row.
    """
    if not _ID.fullmatch(name):
        raise UsageError(f"{name!a} is no id of a row", hint="a to z, 0 to 9, - and _")
    path = board / ROWS / f"{name}.json"
    if path.is_symlink() or not path.is_file():
        known = ", ".join(sorted(one.stem for one in (board / ROWS).glob("*.json")))
        hint = f"rows here: {known}" if known else "name the board's folder with --board"
        raise DataError(f"there is no row {path}", hint=hint)
    try:
        row = parse_row(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no row", hint=f"`sysu30k-bench leaderboard check {board}` says why") from error
    if row.evidence is None:
        raise UsageError(
            f"{name} is only reported: there is nothing to confirm",
            hint="evaluate its weights and submit a row of your own",
        )
    faults = backing_faults(board, row)
    if row.id != name:
        faults.append(f"its id is {row.id}")
    if faults:
        raise CheckFailedError(f"{name} does not stand: its status stays {row.status}", details=faults)
    return row, row.evidence


def today() -> str:
    """The date, as confirmations have it."""
    return dt.datetime.now(tz=dt.UTC).date().isoformat()


def rescore(board: Path, name: str) -> Row:
    """Computes every number of a row again from its ranking, and says so in its status.

    Raises:
        CheckFailedError: The row does not stand.
        DataError: There is no such row.
        UsageError: It is only reported.
    """
    row, _ = row_of(board, name)
    own = (f"rows/{name}.json", f"evidence/{name}.csv", f"confirmations/{name}.")
    faults = [fault for fault in check_board(board) if fault.startswith(own)]
    if faults:
        raise CheckFailedError(f"{name} does not stand: its status stays {row.status}", details=faults)
    return _raised(board, row, "re-scored")


def confirm(board: Path, confirmation: Confirmation, status: Status) -> Row:
    """Writes a confirmation, and the row's better status.

    Raises:
        CheckFailedError: It does not fit the row.
    """
    row, _ = row_of(board, confirmation.row)
    faults = faults_of(row, confirmation)
    if faults:
        raise CheckFailedError(f"this does not confirm {row.id}", details=faults)
    content = confirmation.model_dump_json(indent=1) + "\n"
    write_atomically(confirmation_path(board, row.id, confirmation.kind), content.encode())
    return _raised(board, row, status)


def _raised(board: Path, row: Row, status: Status) -> Row:
    """Writes a row with a better status; a better one still stays."""
    best = max(row.status, status, key=STATUSES.index)
    raised = row.model_copy(update={"status": best})
    write_atomically(board / ROWS / f"{row.id}.json", row_bytes(raised))
    return raised
