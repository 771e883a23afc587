"""Run folders below other folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sysu30k_bench.embeddings.manifest import MANIFEST_NAME
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES
from sysu30k_bench.results.record import RESULT_NAME
from sysu30k_bench.search.ranking import RANKING_NAME

_MARKS = frozenset({RESULT_NAME, EXPORT_NOTES, SEARCH_NOTES})
_EMBEDDINGS = "embeddings"
_OF_A_RUN = frozenset({_EMBEDDINGS, "control", "reranked"})


class Found(NamedTuple):
    """A run folder.

    Attributes:
        name: Below the folder that was searched, or as it was named where several were.
        folder: Where it is.
    """

    name: str
    folder: Path


class Lost(NamedTuple):
    """A folder that has no figures to list.

    Attributes:
        folder: Where it is.
        state: `damaged` or `unfinished`.
        reason: Why.
        hint: What to do; empty where nothing is known.
    """

    folder: Path
    state: str
    reason: str
    hint: str = ""


def find_runs(folders: Sequence[Path]) -> tuple[list[Found], list[Lost]]:
    """Finds every run folder below some folders, and these folders where they are runs; each once.

    A random control and a re-ranking belong to the run that contains them; links are not followed.

    Args:
        folders: Where to look.

    Returns:
        The runs by name, and folders that could not be read.
    """
    found: dict[Path, Found] = {}
    lost: list[Lost] = []

    def unreadable(error: OSError) -> None:
        lost.append(Lost(Path(str(error.filename)), "damaged", f"it cannot be read: {error.strerror}"))

    for folder in folders:
        for above, below, files in os.walk(folder, onerror=unreadable):
            here = Path(above)
            if is_run(here, files):
                beside = here.relative_to(folder)
                name = str(here) if len(folders) > 1 or beside == Path() else beside.as_posix()
                found.setdefault(here.resolve(), Found(name, here))
                below[:] = [one for one in below if one not in _OF_A_RUN]
            below.sort()
    return sorted(found.values()), lost


def is_run(folder: Path, files: Sequence[str]) -> bool:
    """Returns whether a folder is that of a run: it has a document of a step, or embeddings.

    Args:
        folder: The folder.
        files: Names of its files.
    """
    if not _MARKS.isdisjoint(files):
        return True
    return any((folder / _EMBEDDINGS / role / MANIFEST_NAME).is_file() for role in ("query", "gallery"))


def why_unfinished(folder: Path) -> Lost:
    """Tells how far a run without a record came, and how to end it."""
    if (folder / RANKING_NAME).is_file():
        return Lost(folder, "unfinished", "it is searched, and not scored", f"run `sysu30k-bench score {folder}`")
    reached = "is embedded, but not searched" if (folder / EXPORT_NOTES).is_file() else "has not embedded all images"
    return Lost(folder, "unfinished", f"it {reached}", "run the same `eval` again: it resumes")
