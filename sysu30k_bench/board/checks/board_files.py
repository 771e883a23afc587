"""Everything that lies in a board's folder: plain files, and whatever else a change could bring."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from sysu30k_bench.files import sha256_of_file

_RUNS = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH | stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


class Entry(NamedTuple):
    """What lies under a name.

    Attributes:
        kind: `file`, `link`, `folder` (one in which there is nothing, as a submodule leaves it), or `device`.
        content: SHA-256 of a file, or where a link leads.
        runs: Whether a file may be executed, or runs as somebody else.
    """

    kind: str
    content: str = ""
    runs: bool = False


def entries_of(board: Path) -> dict[str, Entry]:
    """Lists a folder and all folders in it; links are not followed.

    Args:
        board: The folder.

    Returns:
        By path below the folder, with forward slashes; those of empty folders end with one.
    """
    found = {}
    for folder, below, names in os.walk(board):
        here = Path(folder)
        linked = [name for name in below if (here / name).is_symlink()]
        for name in [*names, *linked]:
            found[(here / name).relative_to(board).as_posix()] = _entry(here / name)
        if not below and not names and here != board:
            found[here.relative_to(board).as_posix() + "/"] = Entry("folder")
    return found


def has_modes(entries: dict[str, Entry]) -> bool:
    """Whether a file system keeps modes: where it keeps none, every file of a board seems to be a program."""
    return not all(entry.runs for entry in entries.values() if entry.kind == "file")


def _entry(path: Path) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Entry("link", str(path.readlink()))
    if not stat.S_ISREG(status.st_mode):
        return Entry("device")
    return Entry("file", sha256_of_file(path), bool(status.st_mode & _RUNS))
