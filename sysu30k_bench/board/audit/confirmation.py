"""What an audit of a row or a repetition of it found: `confirmations/<id>.<kind>.json`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from sysu30k_bench.board.checks.foreign_text import word_fault
from sysu30k_bench.board.checks.name_key import name_key
from sysu30k_bench.board.rows import Fraction, Row, Status, parse_strictly
from sysu30k_bench.errors import UsageError
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.results.embedding_facts import Sha256
from sysu30k_bench.words import count

CONFIRMATIONS = "confirmations"
MAX_BYTES = 16 << 10
MOST_FLIPS = 0.005
"""Share of the queries that may change sides between two machines: their arithmetic rounds differently."""
LEAST_QUERIES, LEAST_DISTRACTORS = 100, 1000
"""Images that an audit takes at least, or all there are."""


class Limit(NamedTuple):
    """What two devices' rounding may explain.

    Attributes:
        distance: Between an image's embedding and the same made again, relative to its length.
        lean: Of committed margins beyond those made again, on average over the queries; see `board.audit`.
        spread: The same, as a root mean square: gains that losses elsewhere make up for are no rounding either.
    """

    distance: float
    lean: float
    spread: float


LIMITS: dict[str, Limit] = {"fp32": Limit(2e-3, 1e-4, 2e-4), "bf16": Limit(3e-2, 1e-3, 3e-3)}


def _plain(text: str) -> str:
    if fault := word_fault(text.strip()):
        raise ValueError(fault)
    return text


def _day(text: str) -> str:
    if dt.date.fromisoformat(text).isoformat() != text:
        raise ValueError("a day looks like 2026-01-31")
    return text


_Count = Annotated[int, Field(ge=0, le=10**7, strict=True)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain)]
_Day = Annotated[str, AfterValidator(_day)]
_NAME: TypeAdapter[str] = TypeAdapter(_Name)


class Findings(BaseModel):
    """What encoding again and searching again found; it can only be made of what passes.

    Attributes:
        queries: Queries encoded again, and as many matches.
        of_queries: All queries.
        distractors: Other gallery images encoded again.
        of_distractors: All of those.
        impostors: Gallery images nearest to those queries, encoded again.
        compute: Arithmetic of the network.
        distance: Largest distance between a committed embedding and the one made now, relative.
        lean: By how much the committed margins exceed those of embeddings made now, on average.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: Annotated[int, Field(ge=1, le=10**6, strict=True)]
    of_queries: Annotated[int, Field(ge=1, le=10**6, strict=True)]
    distractors: _Count
    of_distractors: _Count
    impostors: _Count
    compute: Literal["fp32", "bf16"]
    distance: Annotated[_Number, Field(ge=0)]
    lean: _Number

    @model_validator(mode="after")
    def _passed(self) -> Findings:
        limit = LIMITS[self.compute]
        if self.distance > limit.distance or self.lean > limit.lean:
            raise ValueError("embeddings that differ confirm nothing")
        few = self.queries < min(LEAST_QUERIES, self.of_queries)
        if few or self.distractors < min(LEAST_DISTRACTORS, self.of_distractors):
            raise ValueError("so few images confirm nothing")
        return self

    @property
    def summary(self) -> str:
        """The findings in half a sentence."""
        return (
            f"{self.queries:,} queries, their matches and {self.distractors:,} distractors encoded again have the "
            f"embeddings of the run (largest distance {self.distance:.1g}), which give its ranking again; margins "
            f"against {self.impostors:,} impostors encoded again differ by {self.lean:.1g} on average"
        )


class _Confirmation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    row: str = Field(max_length=64)
    row_sha256: Sha256
    by: _Name
    date: _Day
    tool: _Name
    device: _Name
    nonce: Annotated[_Name, Field(min_length=8)]
    found: Findings


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
        found: What came of it.
    """

    kind: Literal["audit"] = "audit"

    @property
    def summary(self) -> str:
        """The audit in a sentence."""
        return f"Audited by {self.by} on {self.date} on {self.device} (nonce {self.nonce}): {self.found.summary}."


class Reproduction(_Confirmation):
    """Another person evaluated the same weights on the same lists, and that run was audited.

    Attributes:
        kind: What this is.
        row: Id of the row.
        row_sha256: Digest of everything in the row but its status.
        by: Who repeated it; not the person who claims the row.
        date: When it was audited, as ISO 8601 has it.
        tool: With what.
        device: On what it was audited.
        nonce: See `Audit`.
        found: What the audit of the repetition found.
        rank1: What the repetition gave.
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
            raise ValueError(f"{self.lost + self.won} of {self.n} queries differ at rank 1: that confirms nothing")
        return self

    @property
    def summary(self) -> str:
        """The repetition in a sentence."""
        return (
            f"Reproduced by {self.by}: rank-1 {self.rank1 * 100:.1f} %, "
            f"{count(self.lost, 'query', 'queries')} lost and {self.won} won. "
            f"Their run was audited on {self.date} on {self.device} (nonce {self.nonce}): {self.found.summary}."
        )


Confirmation = Audit | Reproduction
KINDS: dict[str, type[Audit | Reproduction]] = {"audit": Audit, "reproduction": Reproduction}
_DOES = {"audit": "audit", "reproduction": "reproduce"}
NEEDED: dict[Status, str] = {"audited": "audit", "reproduced": "reproduction"}
"""Which confirmation stands behind which status."""

_ANY: TypeAdapter[Confirmation] = TypeAdapter(Annotated[Confirmation, Field(discriminator="kind")])


def check_words(by: str, nonce: str) -> None:
    """Refuses names and nonces that no confirmation can hold, before any work is done.

    Raises:
        UsageError: Too long or too short, or with markup or control characters.
    """
    for option, text, least in (("--by", by, 1), ("--nonce", nonce, 8)):
        try:
            _NAME.validate_python(text)
        except ValidationError as error:
            raise UsageError(f"{option} {ascii(text)[:60]}: {error.errors()[0]['msg']}") from error
        if len(text) < least:
            raise UsageError(f"{option} is shorter than {least} characters")


def same_person(one: str, other: str) -> bool:
    """Whether two names are one to a reader, however they are written."""
    return name_key(one) == name_key(other)


def row_digest(row: Row) -> str:
    """SHA-256 of everything in a row but its status, which confirmations change; rows were once without dates."""
    without = {"status"} if row.date is not None else {"status", "date"}
    if row.practice is None:  # rows were once without this mark
        without.add("practice")
    return sha256_of_text(json.dumps(row.model_dump(mode="json", exclude=without), sort_keys=True))


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
        faults.append("it belongs to another row, or the row was changed since")
    if row.evidence is None:
        faults.append("its row is only reported")
    elif row.evidence.compute != confirmation.found.compute or row.n != confirmation.found.of_queries:
        faults.append("its findings belong to another kind of run")
    if same_person(confirmation.by, row.claimed_by):
        faults.append(f"the claimant of a row cannot {_DOES[confirmation.kind]} it")
    if isinstance(confirmation, Reproduction):
        changed = confirmation.lost + confirmation.won
        if confirmation.n != row.n or abs((confirmation.rank1 - row.rank1) * row.n) > changed + 1e-6:
            faults.append("its rank-1 does not fit the queries that differ")
    return faults


def confirmations_of(board: Path, row: Row) -> list[Confirmation]:
    """Reads what confirms a row that stands."""
    paths = [confirmation_path(board, row.id, kind) for kind in KINDS]
    return [read_confirmation(path) for path in paths if path.is_file()]
