"""Corrections: rows are never changed, so that a wrong one is followed by another that names it."""

from __future__ import annotations

from collections.abc import Mapping

from sysu30k_bench.board.rows import Row


def correction_faults(rows: Mapping[str, Row]) -> list[tuple[str, str]]:
    """Finds rows that correct what they cannot: no row, a later one, somebody else's, or one that is corrected already.

    Args:
        rows: All of them, by id.

    Returns:
        Id and fault.
    """
    found = []
    first: dict[str, str] = {}
    for row in rows.values():
        if row.corrects is None:
            continue
        old = rows.get(row.corrects)
        if old is None or old is row:
            found.append((row.id, f"corrects {row.corrects}, which is no other row"))
            continue
        if old.claimed_by != row.claimed_by:
            found.append((row.id, f"corrects {old.id}, which another person claimed"))
        if row.date is None or (old.date or "") > row.date:
            found.append((row.id, f"corrects {old.id}, which is not older"))
        if first.setdefault(old.id, row.id) != row.id:
            found.append((row.id, f"corrects {old.id}, as {first[old.id]} does"))
        if old.corrects == row.id:
            found.append((row.id, f"corrects {old.id}, which corrects it"))
    return found
