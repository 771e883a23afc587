"""The index of one tar: an SQLite file beside it, made once, in steps that survive an interruption."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from sysu30k_bench.data.trees.tar_scan import Found, modified, scan
from sysu30k_bench.errors import DataError
from sysu30k_bench.files import unwritable
from sysu30k_bench.progress import Progress

FORMAT = 1
SUFFIX = ".index.sqlite"
_AT_ONCE = 20_000
_TABLES = """
create table member (key text primary key, offset integer not null, size integer not null) without rowid;
create table fault (key text, offset integer, size integer, reason text, unique (key, offset, reason));
create table state (name text primary key, value integer not null);
"""


def ready_index(tar: Path, progress: Progress) -> Path:
    """Returns the index of a tar, and makes it, or what is missing of it, where need be.

    The index lies beside the tar, or in the user's cache folder where that cannot be written. It belongs to the tar's
    size and time of change.

    Args:
        tar: An uncompressed tar.
        progress: Told of megabytes gone through.

    Raises:
        DataError: It is no tar, or the index can be written nowhere.
    """
    for place in _places(tar):
        if is_current(place, tar):
            return place
    refusals = []
    for place in _places(tar):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_name(f"{place.name}.lock")):
                if not is_current(place, tar):
                    _make_or_begin_again(tar, place, progress)
        except (OSError, sqlite3.OperationalError) as error:
            refusals.append(str(unwritable(place, error if isinstance(error, OSError) else OSError(str(error)))))
            continue
        return place
    raise DataError(f"the index of {tar} can be written nowhere", details=refusals, hint="free some space")


def is_current(place: Path, tar: Path) -> bool:
    """Whether there is a whole index of the tar as it is now."""
    if not place.is_file():
        return False
    try:
        with closing(connect(place)) as index:
            state = dict(index.execute("select name, value from state"))
    except sqlite3.DatabaseError:
        return False
    size, changed = modified(tar)
    return (state.get("format"), state.get("size"), state.get("changed")) == (FORMAT, size, changed)


def connect(place: Path) -> sqlite3.Connection:
    """Opens a finished index, read only; processes may share it."""
    return sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _places(tar: Path) -> Iterator[Path]:
    yield tar.with_name(f".{tar.name}{SUFFIX}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = sha256(str(tar.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    yield cache / "sysu30k-bench" / f"{tar.name}-{name}{SUFFIX}"


def _make_or_begin_again(tar: Path, place: Path, progress: Progress) -> None:
    """Begins from nothing where what an interruption left is no data base."""
    try:
        _make(tar, place, progress)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        place.with_name(f"{place.name}.partial").unlink(missing_ok=True)
        _make(tar, place, progress)


def _make(tar: Path, place: Path, progress: Progress) -> None:
    """Goes on with `place.partial`, or begins it, and gives it its name when it is whole."""
    partial = place.with_name(f"{place.name}.partial")
    size, changed = modified(tar)
    with closing(sqlite3.connect(partial)) as index:
        index.execute("pragma cache_size = -262144")
        at = _resumed(index, size, changed)
        progress.begin(f"index {tar.name}", (size - at) >> 20, "MB")
        told = at
        try:
            for batch, following in _batches(scan(tar, at)):
                _insert(index, batch)
                index.execute("insert or replace into state values ('next', ?)", (following,))
                index.commit()
                progress.advance((following >> 20) - (told >> 20))
                told = following
        finally:
            progress.end()
        index.execute("insert or replace into state values ('format', ?)", (FORMAT,))
        index.commit()
    partial.replace(place)


def _resumed(index: sqlite3.Connection, size: int, changed: int) -> int:
    """Returns the offset to go on from; empties an index that was begun on another file."""
    try:
        state = dict(index.execute("select name, value from state"))
    except sqlite3.DatabaseError:
        state = {}
    if (state.get("size"), state.get("changed")) == (size, changed):
        return int(state["next"])
    for table in ("member", "fault", "state"):
        index.execute(f"drop table if exists {table}")
    index.executescript(_TABLES)
    index.executemany("insert into state values (?, ?)", [("size", size), ("changed", changed), ("next", 0)])
    index.commit()
    return 0


def _batches(found: Iterator[Found]) -> Iterator[tuple[list[Found], int]]:
    batch: list[Found] = []
    for one in found:
        batch.append(one)
        if len(batch) == _AT_ONCE:
            yield batch, one.next
            batch = []
    if batch:
        yield batch, batch[-1].next


def _insert(index: sqlite3.Connection, batch: list[Found]) -> None:
    """Adds members, in order: of two with one name the later counts, as when a tar is unpacked."""
    for one in batch:
        if one.fault is not None:
            if one.fault:  # folders are passed over, and no fault
                index.execute(
                    "insert or ignore into fault values (?, ?, ?, ?)", (one.key, one.offset, one.size, one.fault)
                )
        elif one.target is None:
            index.execute("insert or replace into member values (?, ?, ?)", (one.key, one.offset, one.size))
        elif not index.execute(
            "insert or replace into member select ?, offset, size from member where key = ?", (one.key, one.target)
        ).rowcount:
            index.execute(
                "insert or ignore into fault values (?, 0, 0, 'a link to a file that is not there')", (one.key,)
            )
