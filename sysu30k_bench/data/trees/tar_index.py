"""The index of one tar: an SQLite file beside it, made once, in steps that survive an interruption."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from sysu30k_bench.data.trees.tar_rows import TABLES, added, insert_fault, insert_member
from sysu30k_bench.data.trees.tar_scan import PASSED_OVER, Found, check_tar, scan
from sysu30k_bench.data.trees.tar_state import (
    State,
    is_intact,
    is_sealed,
    read_state,
    seal,
    sign,
    state_of_tar,
    unseal,
)
from sysu30k_bench.errors import UnwritableError
from sysu30k_bench.files import unwritable
from sysu30k_bench.progress import Progress

FORMAT = 2
SUFFIX = ".index.sqlite"
_AT_ONCE = 20_000


def ready_index(tar: Path, progress: Progress) -> Path:
    """Returns the index of a tar, and makes it, or what is missing of it, where need be.

    The index lies beside the tar, or in the user's cache folder where that cannot be written. It belongs to the tar's
    size, time of change and samples of its bytes. One that was changed, or belongs to another tar, is rebuilt.

    Args:
        tar: An uncompressed tar.
        progress: Told of megabytes gone through.

    Raises:
        DataError: It is no tar, or (`UnwritableError`) the index can be written nowhere.
    """
    for place in _places(tar):
        if is_current(place, tar):
            return place
    check_tar(tar)  # before anything lies beside it
    refusals, given_up = [], []
    for place in _places(tar):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_name(f"{place.name}.lock")):
                if not is_current(place, tar):
                    _make_or_begin_again(tar, place, progress)
        except (OSError, sqlite3.Error) as error:
            refusals.append(str(unwritable(place, error if isinstance(error, OSError) else OSError(str(error)))))
            given_up.append(place)
            continue
        for other in given_up:  # no one would go on with them
            with suppress(OSError):
                _discard(_partial(other))
        return place
    raise UnwritableError(f"the index of {tar} can be written nowhere", details=refusals, hint="free some space")


def is_current(place: Path, tar: Path) -> bool:
    """Whether there is a whole index of the tar as it is now, as it was written."""
    if not place.is_file() or not is_sealed(place):
        return False
    try:
        with closing(connect(place)) as index:
            state = read_state(index)
    except sqlite3.Error:
        return False
    return {"format": FORMAT, **state_of_tar(tar)}.items() <= state.items()


def connect(place: Path) -> sqlite3.Connection:
    """Opens a finished index, read only; processes may share it."""
    return sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _places(tar: Path) -> Iterator[Path]:
    yield tar.with_name(f".{tar.name}{SUFFIX}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = sha256(str(tar.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    yield cache / "sysu30k-bench" / f"{tar.name}-{name}{SUFFIX}"


def _make_or_begin_again(tar: Path, place: Path, progress: Progress) -> None:
    """Begins from nothing where what an interruption left turns out to be damaged after all."""
    try:
        _make(tar, place, progress)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        _discard(_partial(place))
        _make(tar, place, progress)


def _make(tar: Path, place: Path, progress: Progress) -> None:
    """Resumes `place.partial`, or begins it, and renames it when it is complete."""
    partial = _partial(place)
    own = state_of_tar(tar)
    size = int(own["size"])
    if not _can_go_on(partial, own):
        _discard(partial)
        _begin(partial, own)
    with closing(sqlite3.connect(partial)) as index:
        index.execute("pragma cache_size = -262144")
        at = int(read_state(index)["next"])
        progress.begin(f"index {tar.name}", (size - at) >> 20, "MB")
        told = at
        try:
            for batch, following in _batches(scan(tar, at)):
                _insert(index, batch)
                index.execute("insert or replace into state values ('next', ?)", (following,))
                sign(index)
                index.commit()
                progress.advance((following >> 20) - (told >> 20))
                told = following
        finally:
            progress.end()
    seal(partial)
    partial.replace(place)


def _partial(place: Path) -> Path:
    return place.with_name(f"{place.name}.partial")


def _discard(partial: Path) -> None:
    for companion in ("", "-journal", "-wal", "-shm"):
        partial.with_name(partial.name + companion).unlink(missing_ok=True)


def _can_go_on(partial: Path, own: State) -> bool:
    """Whether there is a beginning of this tar's index, as it was committed."""
    if not partial.is_file():
        return False
    unseal(partial)
    try:
        with closing(sqlite3.connect(partial)) as index:
            return is_intact(index) and {"format": FORMAT, **own}.items() <= read_state(index).items()
    except sqlite3.Error:
        return False


def _begin(partial: Path, own: State) -> None:
    with closing(sqlite3.connect(partial)) as index:
        index.executescript(TABLES)
        state: State = {"format": FORMAT, **own, "next": 0, "rows": "0", "passed_over": 0}
        index.executemany("insert into state values (?, ?)", state.items())
        sign(index)
        index.commit()


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
    more = 0
    for one in batch:
        if one.fault == PASSED_OVER:
            index.execute("update state set value = value + 1 where name = 'passed_over'")
        elif one.fault is not None:
            if one.fault:  # folders are passed over, and no fault
                more += insert_fault(index, one.key, one.offset, one.size, one.fault)
        elif one.target is None:
            more += insert_member(index, one.key, one.offset, one.size)
        else:
            target = index.execute("select offset, size from member where key = ?", (one.target,)).fetchone()
            if target is None:
                more += insert_fault(index, one.key, 0, 0, "a link to a file that does not exist")
            else:
                more += insert_member(index, one.key, *target)
    total = added(str(read_state(index)["rows"]), more)
    index.execute("update state set value = ? where name = 'rows'", (total,))
