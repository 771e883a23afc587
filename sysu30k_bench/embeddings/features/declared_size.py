"""What a features file says it holds, held against its size before any of it is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sysu30k_bench.errors import IntegrityError

MOST_EXPANSION = 64
"""Features are close to noise, and hardly compress; runs of zeros do, a thousandfold."""
_LEAST_ROW_BYTES = 4
_SHOWN = 10


def check_declared(path: Path, name: str, nbytes: int) -> None:
    """Refuses an array that would be more than 64 times as large as its file.

    Args:
        path: The features file.
        name: The array's name.
        nbytes: The bytes that it claims.

    Raises:
        IntegrityError: It is refused.
    """
    size = path.stat().st_size
    if nbytes > MOST_EXPANSION * size:
        raise IntegrityError(
            f"{path} is refused unread: `{name}` claims {nbytes:,} bytes, and the file has {size:,}",
            hint="features do not compress so much: if the file is right, write it again without compression",
        )


def check_rows(path: Path, name: str, rows: int) -> None:
    """Refuses an array of more rows than can differ in a file of this size: a text or a vector takes four bytes.

    Args:
        path: The features file.
        name: The array's name.
        rows: The rows that it claims.

    Raises:
        IntegrityError: It is refused.
    """
    size = path.stat().st_size
    if rows * _LEAST_ROW_BYTES > size:
        raise IntegrityError(
            f"{path} is refused unread: `{name}` claims {rows:,} rows, and the file has {size:,} bytes",
            hint="if the file is right, write it again without compression",
        )


def require(names: Iterable[str], there: Iterable[str]) -> None:
    """Refuses a file that lacks some arrays, and says what it has.

    Raises:
        ValueError: Some are missing.
    """
    found = list(there)
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}; it has {', '.join(found[:_SHOWN]) or 'nothing'}")
