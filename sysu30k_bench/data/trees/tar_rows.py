"""The rows of a tar's index, and a sum over them that grows with every row, so that a part of them can be checked."""

from __future__ import annotations

import sqlite3

import xxhash

TABLES = """
create table member (key text primary key, offset integer not null, size integer not null) without rowid;
create table fault (key text, offset integer, size integer, reason text, unique (key, offset, reason));
create table state (name text primary key, value not null);
"""


def insert_member(index: sqlite3.Connection, key: str, offset: int, size: int) -> int:
    """Adds a member, or puts it in the place of another, and returns by how much the sum of rows grows."""
    row = (key, offset, size)
    if index.execute("insert or ignore into member values (?, ?, ?)", row).rowcount:
        return _row_digest(*row)
    before = index.execute("select key, offset, size from member where key = ?", (key,)).fetchone()
    index.execute("update member set offset = ?, size = ? where key = ?", (offset, size, key))
    return _row_digest(*row) - _row_digest(*before)


def insert_fault(index: sqlite3.Connection, key: str, offset: int, size: int, reason: str) -> int:
    """Adds a fault, each once, and returns by how much the sum of rows grows."""
    row = (key, offset, size, reason)
    return _row_digest(*row) if index.execute("insert or ignore into fault values (?, ?, ?, ?)", row).rowcount else 0


def sum_of_rows(index: sqlite3.Connection) -> str:
    """Adds up all rows of an index, in whatever order.

    Raises:
        sqlite3.DatabaseError: It is damaged.
    """
    total = sum(_row_digest(*row) for row in index.execute("select key, offset, size from member"))
    total += sum(_row_digest(*row) for row in index.execute("select key, offset, size, reason from fault"))
    return added("0", total)


def added(total: str, more: int) -> str:
    """Adds to a sum of rows, which is kept in hex: SQLite has no numbers of 128 bits."""
    return f"{(int(total, 16) + more) % (1 << 128):x}"


def _row_digest(*values: object) -> int:
    return int(xxhash.xxh3_128_intdigest(repr(values).encode()))
