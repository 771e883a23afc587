"""What the steps leave in the run folder for each other: `export.json` and `search.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.results.record import Data, HealthRecord, Machine, Model

EXPORT_NOTES = "export.json"
SEARCH_NOTES = "search.json"
_MAX_BYTES = 64 << 20


class ExportNotes(BaseModel):
    """What the export knows.

    Attributes:
        model: The network.
        data: The lists.
        warnings: What was unusual.
        not_official_because: Why the result cannot be official.
        images_embedded: Images embedded by the command that finished the export.
        seconds: Time that took.
        peak_memory_bytes: Largest resident memory.
        processes: Processes that shared the work.
        machine: Where the network ran.
        stores: SHA-256 of each role's `manifest.json`, by role.
        skipped_query: Query images left out as damaged.
        skipped_gallery: Gallery images left out as damaged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class SearchNotes(BaseModel):
    """What the search knows.

    Attributes:
        machine: Where it ran.
        engine: The search engine's own description.
        engine_reason: Why it was taken.
        gallery: Gallery images searched.
        top_k: Rows listed for each query.
        seconds: Time that took.
        peak_memory_bytes: Largest resident memory.
        ranking_sha256: Digest of `ranking.csv`.
        stores: SHA-256 of each role's `manifest.json`, by role.
        health: Signs of collapse and leakage.
        warnings: What these signs say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    stores: dict[str, str]


Notes = TypeVar("Notes", ExportNotes, SearchNotes)


def write_notes(path: Path, notes: BaseModel) -> None:
    """Writes notes, whole."""
    write_atomically(path, (notes.model_dump_json(indent=1) + "\n").encode())


def read_notes(path: Path, kind: type[Notes], made_by: str) -> Notes:
    """Reads notes.

    Args:
        path: The file.
        kind: What it must hold.
        made_by: The command that makes it, for the message.

    Raises:
        DataError: There is no such file.
        IntegrityError: It is something else.
    """
    if not path.is_file():
        raise DataError(f"there is no {path}", hint=f"run `sysu30k-bench {made_by}` first")
    if path.stat().st_size > _MAX_BYTES:
        raise IntegrityError(f"{path} is too large")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise IntegrityError(f"{path} is damaged: {error.errors()[0]['msg']}", hint=f"run `{made_by}` again") from error
