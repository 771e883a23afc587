"""The table beside `X.npy` whose column `key` names its rows: comma-separated, or as a spreadsheet writes it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from sysu30k_bench.data.trees.text import text_of
from sysu30k_bench.errors import IntegrityError

_SEPARATORS = (",", ";", "\t")
_COLUMN = "key"
_AGAIN = 'save it as "CSV UTF-8"'
_SHOWN = 8
_SAYS_SEPARATOR = "sep="
"""How Excel may begin a file: with a line that names the separator."""


def read_keys(path: Path) -> list[str]:
    """Reads the column `key`; separated by commas, semicolons or tabs, with or without a byte order mark.

    Args:
        path: The table.

    Returns:
        A key for each row, in order.

    Raises:
        IntegrityError: It has no such column, or rows of another length than its header; they are named.
    """
    try:
        return _keys(path, text_of(path.read_bytes(), errors="strict"))
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{path} is not UTF-8: {error}", hint=_AGAIN) from error
    except csv.Error as error:
        raise IntegrityError(f"{path} is no table: {error}", hint=_AGAIN) from error


def _keys(path: Path, text: str) -> list[str]:
    first, _, rest = text.partition("\n")
    said = first.strip().strip('"')
    separators: tuple[str, ...] = _SEPARATORS
    if said.startswith(_SAYS_SEPARATOR) and len(said) == len(_SAYS_SEPARATOR) + 1:
        text, separators = rest, (said[-1],)
    headers = {separator: _header(text, separator) for separator in separators}
    fitting = [separator for separator, header in headers.items() if _COLUMN in header]
    if not fitting:
        names = max(headers.values(), key=len)
        shown = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
        raise IntegrityError(
            f"{path} has no column {_COLUMN!r}; it has {shown or 'none'}",
            hint=f"its first line must name the columns, and the one with the images' keys {_COLUMN!r}",
        )
    return _column(path, text, fitting[0], headers[fitting[0]])


def _header(text: str, separator: str) -> list[str]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [name.strip() for name in next((row for row in rows if row), [])]


def _column(path: Path, text: str, separator: str, header: list[str]) -> list[str]:
    place = header.index(_COLUMN)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    filled = (row for row in rows if row)
    next(filled)
    keys, bad = [], []
    for row in filled:
        if len(row) == len(header):
            keys.append(row[place])
        else:
            bad.append(f"line {rows.line_num}: {len(row)} fields")
    if bad:
        raise IntegrityError(
            f"{len(bad)} rows of {path} do not have the {len(header)} fields of its header",
            details=bad,
            hint="put fields that hold the separator into quotes",
        )
    return keys
