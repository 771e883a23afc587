"""What a change may do to a board: add rows with their evidence, and nothing else unless a maintainer makes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sysu30k_bench.board.audit.confirmation import CONFIRMATIONS
from sysu30k_bench.board.checks.board_files import Entry, entries_of, has_modes
from sysu30k_bench.board.checks.check import FOLDERS, check_board, printed, read_rows
from sysu30k_bench.board.practice import MARK_NAME
from sysu30k_bench.board.render import generated_names, stale_files
from sysu30k_bench.board.rows import EVIDENCE, ROWS, STATUSES, Row
from sysu30k_bench.errors import DataError
from sysu30k_bench.files import sha256_of_file


def check_change(board: Path, base: Path, *, by_maintainer: bool = False) -> list[str]:
    """Checks a board, and what was changed in it.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        base: The same folder before the change.
        by_maintainer: Whether the change may confirm rows, and change anything that is not a row. Rows, evidence,
            confirmations and tables are plain files whoever changes them.

    Returns:
        One line a fault; none where all is well.

    Raises:
        DataError: There is no board, or none before the change.
    """
    if board.is_symlink() or base.resolve() in (board.resolve(), *board.resolve().parents):
        raise DataError(f"{board} is a link, or is inside its own --base", hint="give two separate folders")
    if not (base / ROWS).is_dir():
        raise DataError(f"there is no folder {base / ROWS}", hint="--base is the board before the change")
    unread: list[str] = []
    before = read_rows(base, unread)
    if unread:
        raise DataError(f"rows in {base} cannot be read", details=unread)
    if (board / MARK_NAME).is_symlink() or _mark(board) != _mark(base):  # whose rules are not those of the board before
        return [f"{MARK_NAME}: a board does not become a practice board, nor the reverse"]
    faults = check_board(board, before)
    rows = read_rows(board, [])
    faults += _altered(rows, before, by_maintainer=by_maintainer)
    faults += _confirmations(board, base, by_maintainer=by_maintainer)
    if not faults:
        outdated = stale_files(board, checked=True)
        faults = [f"{name}: not what the rows give; run `leaderboard render`" for name in outdated]
    mine, theirs, generated = entries_of(board), entries_of(base), generated_names(rows)
    faults += _not_plain(mine, theirs, generated)
    return faults if by_maintainer else faults + _elsewhere(mine, theirs, generated)


def _mark(board: Path) -> str | None:
    path = board / MARK_NAME
    return sha256_of_file(path) if path.is_file() else "not a file" if path.exists() else None


def _altered(rows: dict[str, Row], before: dict[str, Row], *, by_maintainer: bool) -> list[str]:
    faults = [
        f"{ROWS}/{row.id}.json: a new row is reported or self-reported; {row.status} is a maintainer's"
        for row in rows.values()
        if row.id not in before and row.status not in STATUSES[:2] and not by_maintainer
    ]
    for name, old in before.items():
        after = rows.get(name)
        if after is None:
            faults.append(f"{ROWS}/{name}.json: it existed before and is missing or unreadable now")
        elif after.model_copy(update={"status": old.status}) != old:
            changed = [part for part in Row.model_fields if getattr(after, part) != getattr(old, part)]
            faults.append(f"{ROWS}/{name}.json: {', '.join(changed)} of an existing row changed")
        elif STATUSES.index(after.status) < STATUSES.index(old.status):
            faults.append(f"{ROWS}/{name}.json: its status was lowered from {old.status} to {after.status}")
        elif after.status != old.status and not by_maintainer:
            faults.append(f"{ROWS}/{name}.json: only a maintainer changes {old.status} to {after.status}")
    return faults


def _confirmations(board: Path, base: Path, *, by_maintainer: bool) -> list[str]:
    before, after = (
        {path.name: sha256_of_file(path) for path in sorted((folder / CONFIRMATIONS).glob("*.json")) if path.is_file()}
        for folder in (base, board)
    )
    faults = [
        f"{CONFIRMATIONS}/{printed(name)}: it was there and is gone or changed"
        for name, digest in before.items()
        if after.get(name) != digest
    ]
    new = [name for name in after if name not in before]
    if not by_maintainer:
        faults += [f"{CONFIRMATIONS}/{printed(name)}: confirmations are a maintainer's" for name in new]
    return faults


def _of_a_row(name: str) -> bool:
    """Whether a file lies where rows, evidence and confirmations do: their names have checks of their own."""
    folder, _, rest = name.partition("/")
    return folder in {ROWS, EVIDENCE, CONFIRMATIONS} and rest != "" and "/" not in rest


def _not_plain(mine: dict[str, Entry], theirs: dict[str, Entry], generated: Iterable[str]) -> list[str]:
    """Names links, programs and other things among the files that a submission may bring."""
    faults, modes = [], has_modes(theirs)
    for name in sorted(name for name in mine if name in generated or _of_a_row(name)):
        if mine[name].kind != "file":
            faults.append(f"{printed(name)}: a {mine[name].kind}, not a plain file")
        elif mine[name].runs and modes and mine[name] != theirs.get(name):
            faults.append(f"{printed(name)}: an executable file; those of a board have the plain mode 644")
    return faults


def _elsewhere(mine: dict[str, Entry], theirs: dict[str, Entry], generated: Iterable[str]) -> list[str]:
    """Names whatever else was added, changed or taken away: a board's folder also holds the site's templates."""
    return [
        f"{printed(name)}: a submission adds a row, its evidence and what `leaderboard render` makes of them"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
        and not _of_a_row(name)
        and name not in generated
        and name.rstrip("/") not in FOLDERS
    ]
