"""The practice board: a submission rehearsed on drawn people, kept apart from the real board."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sysu30k_bench.data.benchmarks.published import published_counts
from sysu30k_bench.data.benchmarks.sysu30k import DRAWN
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.files import is_empty, write_atomically
from sysu30k_bench.results.record import EvaluationRecord

MARK_NAME = "practice.json"
"""The file in a board's folder that makes it a practice board."""
SENTENCE = "Practice run on drawn people: shows the tool, measures nothing"
_LARGEST = 1 << 12
_OTHER_BOARD = "choose another --board"


class PracticeMark(BaseModel):
    """What `practice.json` holds.

    Attributes:
        practice: Always true.
        queries: Queries of the drawn test set.
        gallery: Images of its gallery.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    practice: Literal[True] = True
    queries: int = Field(ge=1, le=28_310, strict=True)
    gallery: int = Field(ge=1, le=10**7, strict=True)

    @classmethod
    def of(cls, record: EvaluationRecord) -> PracticeMark:
        """Returns the mark of the board on which a run of drawn people belongs."""
        return cls(queries=record.counts.query, gallery=record.counts.gallery)


@dataclass(frozen=True)
class Rules:
    """What the rows of a board must be.

    Attributes:
        queries: Queries that every row ranks.
        galleries: Sizes that a gallery may have.
        practice: Whether this is a practice board, whose rows carry a mark.
    """

    queries: int
    galleries: tuple[int, ...]
    practice: bool = False


def rules_of(board: Path) -> Rules:
    """Returns the rules of a board: SYSU-30k's published counts, or a drawn twin's where `practice.json` says so.

    Raises:
        IntegrityError: `practice.json` exists and is not one.
    """
    mark = read_mark(board)
    if mark is not None:
        return Rules(mark.queries, (mark.gallery,), practice=True)
    published = published_counts()["sysu30k"]
    assert published.query is not None  # noqa: S101  SYSU-30k has one test set
    return Rules(published.query, tuple(sorted(reading.count for reading in published.gallery)))


def read_mark(board: Path) -> PracticeMark | None:
    """Reads the mark of a practice board; None where the folder holds none.

    Raises:
        IntegrityError: `practice.json` exists and is not a mark.
    """
    path = board / MARK_NAME
    if not path.is_symlink() and not path.exists():
        return None
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            raise ValueError("not a small plain file")
        return PracticeMark.model_validate(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{path} does not mark a practice board",
            hint="remove it, or create the board again with `submit --practice`",
        ) from error


def require_board_for(board: Path, mark: PracticeMark | None) -> None:
    """Makes the folder a practice board where a practice row is its first, and refuses a row of the other kind.

    Args:
        board: Where a row is about to be written.
        mark: Of a practice row; None for a real row.

    Raises:
        UsageError: A practice row and a real board, a real row and a practice board, or a drawn set of another size.
    """
    found = read_mark(board)
    if mark is None:
        if found is not None:
            raise UsageError(f"{board} is a practice board: it takes practice rows only", hint=_OTHER_BOARD)
    elif found is None:
        if board.exists() and not is_empty(board):
            raise UsageError(f"{board} exists and is no practice board: it takes no practice row", hint=_OTHER_BOARD)
        write_atomically(board / MARK_NAME, (mark.model_dump_json(indent=1) + "\n").encode())
    elif found != mark:
        raise UsageError(
            f"the practice board {board} has {found.queries:,} queries and {found.gallery:,} gallery images; "
            f"this run has {mark.queries:,} and {mark.gallery:,}",
            hint=_OTHER_BOARD,
        )


def sentence_of(record: EvaluationRecord) -> str:
    """Returns what is to be said first of a run whose images show nobody; nothing of any other."""
    if not record.data.drawn:
        return ""
    return SENTENCE if record.data.dataset == "sysu30k" else SENTENCE.replace("drawn people", "images of nobody")


def other_reasons(record: EvaluationRecord) -> list[str]:
    """Returns why a run is not official, without what follows from its images being drawn: their sizes, too."""
    published = published_counts().get(record.data.dataset)
    if not record.data.drawn or published is None:
        return list(record.not_official_because)
    # the counts of the lists, which are not the record's where only a part was evaluated
    sizes = {said.partition(" ")[2] for count in (0, 1) for said in published.compare(count, count)[1]}
    return [one for one in record.not_official_because if one != DRAWN and one.partition(" ")[2] not in sizes]


def reasons_against(record: EvaluationRecord, *, practice: bool) -> list[str]:
    """Returns why a run cannot be a row.

    Args:
        record: Of the run.
        practice: Whether for a practice board: being drawn, and the sizes that follow, are then no reason.

    Raises:
        UsageError: A run of real images for a practice board.
    """
    if not practice:
        return list(record.not_official_because)
    if record.data.dataset != "sysu30k" or not record.data.drawn:
        raise UsageError(
            "a practice board takes runs on drawn people only",
            hint="draw a test set with `data synth` and evaluate on it; submit a run on SYSU-30k without --practice",
        )
    return other_reasons(record)
