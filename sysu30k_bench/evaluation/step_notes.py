"""What the steps leave in the run folder for each other: `export.json` and `search.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sysu30k_bench.errors import BenchError, DataError, IntegrityError
from sysu30k_bench.results.record import Data, HealthRecord, Machine, Model
from sysu30k_bench.sealed import SealedDocument, document_fault

EXPORT_NOTES = "export.json"
SEARCH_NOTES = "search.json"
_MAX_BYTES = 64 << 20


class ExportNotes(SealedDocument):
    """Facts that the export passes to the next steps.

    Attributes:
        model: The network.
        data: The lists.
        warnings: What was unusual.
        not_official_because: Why the result cannot be official.
        images_embedded: Images embedded by the command that finished the export; a later one that finds it finished
            leaves this and what it took as they are.
        seconds: Time that took.
        peak_memory_bytes: Largest resident memory.
        processes: Processes that shared the work.
        machine: Where the network ran.
        stores: SHA-256 of each role's `manifest.json`, by role.
        skipped_query: Query images left out as damaged.
        skipped_gallery: Gallery images left out as damaged.
    """

    model: Model
    data: Data
    warnings: list[str]
    not_official_because: list[str]
    images_embedded: int
    seconds: float
    peak_memory_bytes: int
    processes: int
    machine: Machine
    stores: dict[str, str]
    skipped_query: int
    skipped_gallery: int


class SearchNotes(SealedDocument):
    """What the search knows.

    Attributes:
        machine: Where it ran.
        engine: The search engine's own description.
        engine_reason: Why it was chosen.
        gallery: Gallery images searched.
        top_k: Rows listed for each query.
        seconds: Time that took.
        peak_memory_bytes: Largest resident memory.
        ranking_sha256: Digest of `ranking.csv`.
        top_sha256: Digest of `top.csv`.
        stores: SHA-256 of each role's `manifest.json`, by role.
        health: Signs of collapse and leakage.
        warnings: What these signs say.
    """

    health: HealthRecord
    warnings: list[str]
    machine: Machine
    engine: str
    engine_reason: str
    gallery: int
    top_k: int
    seconds: float
    peak_memory_bytes: int
    ranking_sha256: str
    top_sha256: str
    stores: dict[str, str]


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        notes: As `export.json` has them: of a finished export that was run again, what the first one took.
        now: The same with what this command took.
    """

    notes: ExportNotes
    now: ExportNotes


Notes = TypeVar("Notes", ExportNotes, SearchNotes)
_COST = ("images_embedded", "seconds", "peak_memory_bytes", "processes", "machine")


def write_notes(path: Path, notes: SealedDocument) -> None:
    """Writes notes, sealed and whole."""
    notes.write_to(path)


def with_first_cost(notes: ExportNotes, path: Path) -> ExportNotes:
    """Keeps what the embeddings took, and where, if this command found all of them made.

    Args:
        notes: Of this command.
        path: Where the notes of the one before may be.
    """
    if notes.images_embedded:
        return notes
    try:
        before = read_notes(path, ExportNotes, "export")
    except BenchError:  # there are none, or none to be trusted: they are about to be written anew
        return notes
    if before.stores != notes.stores:
        return notes
    return notes.model_copy(update={name: getattr(before, name) for name in _COST})


def read_notes(path: Path, kind: type[Notes], made_by: str) -> Notes:
    """Reads notes.

    Args:
        path: The file.
        kind: What it must hold.
        made_by: The command that makes it, for the message.

    Raises:
        DataError: There is no such file.
        IntegrityError: It is something else, was changed, or carries no digest as those of earlier versions.
    """
    if not path.is_file():
        raise DataError(f"there is no {path}", hint=f"run `sysu30k-bench {made_by}` first")
    if path.stat().st_size > _MAX_BYTES:
        raise IntegrityError(f"{path} is too large")
    raw, hint = path.read_bytes(), f"run `sysu30k-bench {made_by}` again: what is finished is kept"
    fault = document_fault(raw, required=True)
    if fault:
        raise IntegrityError(f"{path} {fault}", hint=hint)
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise IntegrityError(f"{path} is damaged: {error.errors()[0]['msg']}", hint=hint) from error
