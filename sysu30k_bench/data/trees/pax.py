"""Extended headers of tar members that some program took for files, called as the members that they describe."""

from __future__ import annotations

import re
from collections.abc import Callable

_NAME = re.compile(r"(?:^|/)@?PaxHeaders?(?:\.[^/]*)?/")
_RECORD = re.compile(rb"[1-9][0-9]{0,8} [^=\n]{1,200}=")

PAX_HEAD = 256
"""Bytes of a file that are enough to know one."""


def is_pax_header(key: str, head: Callable[..., bytes], *where: object) -> bool:
    """Says whether a file is such a header: it lies in a `PaxHeader` folder, and is written like one.

    Args:
        key: Its name.
        head: Reads its first bytes; called where the name alone does not decide.
        where: What `head` is called with.
    """
    return _NAME.search(key) is not None and _RECORD.match(head(*where)) is not None


def passed_over(count: int) -> str:
    """Says how many there were."""
    return f"{count:,} PaxHeader entries, written by another program's tar, are skipped"
