"""Statuses that are more than a submitter's word: each set by a command, after what it says was done."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from sysu30k_bench._version import __version__
from sysu30k_bench.board.check import check_board
from sysu30k_bench.board.confirmation import (
    MOST_FLIPS,
    Confirmation,
    Reproduction,
    confirmation_path,
    faults_of,
    row_digest,
)
from sysu30k_bench.board.rows import STATUSES, Evidence, Row, Status, parse_row
from sysu30k_bench.board.submit import EVIDENCE, ROWS, prepare_evidence, row_bytes
from sysu30k_bench.errors import CheckFailedError, DataError, UsageError
from sysu30k_bench.files import sha256_of_file, write_atomically
from sysu30k_bench.results.ranked_run import aligned, read_run
from sysu30k_bench.results.record import RESULT_NAME, read_record
from sysu30k_bench.search.ranking import RANKING_NAME

TOOL = f"sysu30k-bench {__version__}"
_SAME = ("query_fingerprint", "gallery_fingerprint", "weights_sha256", "card_sha256", "protocol_sha256")


def row_of(board: Path, name: str) -> tuple[Row, Evidence]:
    """Reads a row that has evidence.

    Raises:
        DataError: There is no such row.
        UsageError: It is only reported, or no row.
    """
    path = board / ROWS / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in (board / ROWS).glob("*.json")))
        raise DataError(f"there is no row {path}", hint=f"rows here: {known}" if known else "name the board's folder")
    try:
        row = parse_row(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no row", hint=f"`sysu30k-bench leaderboard check {board}` says why") from error
    if row.evidence is None:
        raise UsageError(
            f"{name} is only reported: there is nothing to confirm",
            hint="evaluate its weights and submit a row of your own",
        )
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
    faults = [fault for fault in check_board(board) if f"/{name}." in fault]
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


def reproduction(board: Path, name: str, run: Path, by: str) -> Reproduction:
    """Holds somebody else's run of the same weights against a row.

    Args:
        board: The board.
        name: Id of the row.
        run: Run folder of an official run, with its embeddings.
        by: Who made that run.

    Raises:
        CheckFailedError: It is not official, not of the same weights, card or lists, or too many queries differ.
        DataError: Row or run are not there.
        UsageError: The row is only reported, or it is whoever claims it who repeats it.
    """
    row, evidence = row_of(board, name)
    if by.casefold() == row.claimed_by.casefold():
        raise UsageError(f"{by} claims this row", hint="somebody else has to repeat it")
    record = read_record(run / RESULT_NAME)
    if not record.official:
        raise CheckFailedError(f"{run} is not official", details=record.not_official_because)
    theirs = prepare_evidence(run, record)
    other = [
        f"{part}: {getattr(theirs, part)} in the run, {getattr(evidence, part)} in the row"
        for part in _SAME
        if getattr(theirs, part) != getattr(evidence, part)
    ]
    if other:
        raise CheckFailedError(f"{run} is not a repetition of {name}", details=other)
    first, second = aligned([read_run(board / EVIDENCE / f"{name}.csv"), read_run(run)])
    lost, won = int((first.hit & ~second.hit).sum()), int((second.hit & ~first.hit).sum())
    if lost + won > MOST_FLIPS * row.n:
        keys = first.per_query.index[first.hit != second.hit]
        raise CheckFailedError(
            f"{lost + won} of {row.n:,} queries changed sides: more than two machines' rounding does",
            details=[str(key) for key in keys[:20]],
        )
    return Reproduction(
        row=name,
        row_sha256=row_digest(row),
        by=by,
        date=today(),
        tool=TOOL,
        device=record.environment.device,
        rank1=record.metrics.rank1.value,
        n=record.metrics.rank1.n,
        lost=lost,
        won=won,
        ranking_sha256=sha256_of_file(run / RANKING_NAME),
    )


def _raised(board: Path, row: Row, status: Status) -> Row:
    """Writes a row with a better status; a better one still stays."""
    best = max(row.status, status, key=STATUSES.index)
    raised = row.model_copy(update={"status": best})
    write_atomically(board / ROWS / f"{row.id}.json", row_bytes(raised))
    return raised
