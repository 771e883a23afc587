"""What an audit of a row or a repetition of it found: `confirmations/<id>.<kind>.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from sysu30k_bench.board.rows import Fraction, Row, Sha256, Status, parse_strictly
from sysu30k_bench.files import sha256_of_text

CONFIRMATIONS = "confirmations"
MAX_BYTES = 16 << 10
MOST_FLIPS = 0.005
"""Share of the queries that may change sides between two machines: their arithmetic rounds differently."""

_Count = Annotated[int, Field(ge=0, le=10**7, strict=True)]
_Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f<>`|]+$")]


class _Confirmation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    row: str = Field(max_length=64)
    row_sha256: Sha256
    by: _Name
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    tool: _Name
    device: _Name


class Audit(_Confirmation):
    """A sample of images was encoded again, and the committed embeddings were searched again.

    Attributes:
        kind: What this is.
        row: Id of the row.
        row_sha256: Digest of everything in the row but its status.
        by: Who did it.
        date: When, as ISO 8601 has it.
        tool: With what.
        device: On what.
        nonce: Text that the row's digest was joined with to pick the images; its author could not know it beforehand.
        queries: Queries encoded, and as many matches.
        distractors: Other gallery images encoded.
        lowest_cosine: Between an image's committed embedding and the one made now.
        tolerance: What that may fall short of 1 by.
        searched: Whether all committed shards were there and gave the committed ranking.
    """

    kind: Literal["audit"] = "audit"
    nonce: str = Field("", max_length=100)
    queries: Annotated[int, Field(ge=1, le=10**6, strict=True)]
    distractors: _Count
    lowest_cosine: float = Field(ge=-1.0, le=1.0 + 1e-9, allow_inf_nan=False)
    tolerance: float = Field(gt=0, le=0.01, allow_inf_nan=False)
    searched: bool

    @model_validator(mode="after")
    def _passed(self) -> Audit:
        if 1 - self.lowest_cosine > self.tolerance:
            raise ValueError("an audit whose embeddings are apart confirms nothing")
        return self

    @property
    def said(self) -> str:
        """The audit in a sentence."""
        images = f"{self.queries:,} queries, their matches and {self.distractors:,} distractors"
        searched = "gave the ranking again" if self.searched else "were not all there to be searched again"
        return (
            f"Audited by {self.by} on {self.date}: {images}, encoded again on {self.device}, have their committed "
            f"embeddings (lowest cosine {self.lowest_cosine:.7f}); the committed shards {searched}."
        )


class Reproduction(_Confirmation):
    """Somebody else evaluated the same weights on the same lists.

    Attributes:
        kind: What this is.
        row: Id of the row.
        row_sha256: Digest of everything in the row but its status.
        by: Who did it; not whoever claims the row.
        date: When, as ISO 8601 has it.
        tool: With what.
        device: On what.
        rank1: What it gave.
        n: Queries.
        lost: Queries that the row alone has at rank 1.
        won: Queries that the repetition alone has.
        ranking_sha256: Of its own ranking.
    """

    kind: Literal["reproduction"] = "reproduction"
    rank1: Fraction
    n: Annotated[int, Field(ge=1, le=10**6, strict=True)]
    lost: _Count
    won: _Count
    ranking_sha256: Sha256

    @model_validator(mode="after")
    def _agrees(self) -> Reproduction:
        if self.lost + self.won > MOST_FLIPS * self.n:
            raise ValueError(f"{self.lost + self.won} of {self.n} queries changed sides: that confirms nothing")
        return self

    @property
    def said(self) -> str:
        """The repetition in a sentence."""
        return (
            f"Reproduced by {self.by} on {self.date} on {self.device}: rank-1 {self.rank1 * 100:.1f} %, "
            f"{self.lost} queries lost and {self.won} won."
        )


Confirmation = Audit | Reproduction
KINDS: dict[str, type[Audit | Reproduction]] = {"audit": Audit, "reproduction": Reproduction}
NEEDED: dict[Status, str] = {"audited": "audit", "reproduced": "reproduction"}
"""Which confirmation stands behind which status."""

_ANY: TypeAdapter[Confirmation] = TypeAdapter(Annotated[Confirmation, Field(discriminator="kind")])


def row_digest(row: Row) -> str:
    """SHA-256 of everything in a row but its status, which confirmations change."""
    return sha256_of_text(json.dumps(row.model_dump(mode="json", exclude={"status"}), sort_keys=True))


def confirmation_path(board: Path, row: str, kind: str) -> Path:
    """Where a confirmation lies."""
    return board / CONFIRMATIONS / f"{row}.{kind}.json"


def read_confirmation(path: Path) -> Confirmation:
    """Reads a confirmation.

    Raises:
        ValueError: It is none; the message is one line.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise ValueError("not a plain file of a confirmation's size")
    try:
        return _ANY.validate_python(parse_strictly(path.read_bytes()))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where or 'confirmation'}: {first['msg']}") from error


def faults_of(row: Row, confirmation: Confirmation) -> list[str]:
    """Says why a confirmation is not one of a row."""
    faults = []
    if confirmation.row != row.id or confirmation.row_sha256 != row_digest(row):
        faults.append("it is of another row, or the row was changed since")
    if row.evidence is None:
        faults.append("its row is only reported")
    if isinstance(confirmation, Reproduction):
        if confirmation.by.casefold() == row.claimed_by.casefold():
            faults.append("whoever claims a row cannot reproduce it")
        changed = confirmation.lost + confirmation.won
        if confirmation.n != row.n or abs((confirmation.rank1 - row.rank1) * row.n) > changed + 1e-6:
            faults.append("its rank-1 does not fit the queries that changed sides")
    return faults


def confirmations_of(board: Path, row: Row) -> list[Confirmation]:
    """Reads what confirms a row that stands."""
    paths = [confirmation_path(board, row.id, kind) for kind in KINDS]
    return [read_confirmation(path) for path in paths if path.is_file()]
