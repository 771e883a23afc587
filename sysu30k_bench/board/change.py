"""What a change may do to a board: add rows with their evidence, and nothing else unless a maintainer makes it."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from sysu30k_bench.board.check import check_board, printed, read_rows
from sysu30k_bench.board.confirmation import CONFIRMATIONS
from sysu30k_bench.board.render import GENERATED, stale_files
from sysu30k_bench.board.rows import STATUSES, Row
from sysu30k_bench.board.submit import EVIDENCE, ROWS
from sysu30k_bench.errors import DataError
from sysu30k_bench.files import sha256_of_file


def check_change(board: Path, base: Path, *, by_maintainer: bool = False) -> list[str]:
    """Checks a board, and what was changed in it.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        base: The same folder before the change.
        by_maintainer: Whether the change may confirm rows, and change anything that is not a row.

    Returns:
        One line a fault; none where all is well.

    Raises:
        DataError: There is no board, or none before the change.
    """
    if board.is_symlink() or base.resolve() in (board.resolve(), *board.resolve().parents):
        raise DataError(f"{board} is a link, or lies in its own --base", hint="both have to be folders of their own")
    if not (base / ROWS).is_dir():
        raise DataError(f"there is no folder {base / ROWS}", hint="--base is the board before the change")
    unread: list[str] = []
    before = read_rows(base, unread)
    if unread:
        raise DataError(f"rows in {base} cannot be read", details=unread)
    faults = check_board(board, before)
    rows = read_rows(board, [])
    faults += _altered(rows, before, by_maintainer=by_maintainer)
    faults += _confirmations(board, base, by_maintainer=by_maintainer)
    if not faults:
        faults = [f"{name}: not what the rows give; run `leaderboard render`" for name in stale_files(board)]
    return faults if by_maintainer else faults + _elsewhere(board, base)


def _altered(rows: dict[str, Row], before: dict[str, Row], *, by_maintainer: bool) -> list[str]:
    faults = [
        f"{ROWS}/{row.id}.json: a new row is reported or self-reported; {row.status} is a maintainer's"
        for row in rows.values()
        if row.id not in before and row.status not in STATUSES[:2] and not by_maintainer
    ]
    for name, old in before.items():
        after = rows.get(name)
        if after is None:
            faults.append(f"{ROWS}/{name}.json: it was there and is gone, or cannot be read")
        elif after.model_copy(update={"status": old.status}) != old:
            changed = [part for part in Row.model_fields if getattr(after, part) != getattr(old, part)]
            faults.append(f"{ROWS}/{name}.json: {', '.join(changed)} of a row that was there changed")
        elif STATUSES.index(after.status) < STATUSES.index(old.status):
            faults.append(f"{ROWS}/{name}.json: its status went back from {old.status} to {after.status}")
        elif after.status != old.status and not by_maintainer:
            faults.append(f"{ROWS}/{name}.json: only a maintainer makes {old.status} {after.status}")
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


def _elsewhere(board: Path, base: Path) -> list[str]:
    """Names whatever else was added, changed or taken away: a board's folder also holds the site's templates."""
    before, after = _files(base), _files(board)
    return [
        f"{printed(name)}: a submission adds a row, its evidence and what `leaderboard render` makes of them"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and not any(fnmatchcase(name, pattern) for pattern in GENERATED)
    ]


def _files(board: Path) -> dict[str, str]:
    """Digests of all files that are neither rows, evidence nor confirmations; of links, where they lead."""
    found = {}
    for folder, below, names in os.walk(board):
        here = Path(folder)
        linked = [name for name in below if (here / name).is_symlink()]
        for name in [*names, *linked]:
            path = here / name
            key = path.relative_to(board).as_posix()
            if key.split("/")[0] in {ROWS, EVIDENCE, CONFIRMATIONS} and key.count("/") == 1:
                continue  # told by their own checks
            found[key] = f"link to {path.readlink()}" if path.is_symlink() else sha256_of_file(path)
    return found
