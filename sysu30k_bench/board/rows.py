"""Rows of the leaderboard: one JSON file a method in `leaderboard/rows/`."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from importlib import resources
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sysu30k_bench.board.checks.foreign_text import link_fault, word_fault
from sysu30k_bench.board.checks.name_key import name_key
from sysu30k_bench.metrics.catalogue import FROM_RANKS, METRICS, OPEN_SET
from sysu30k_bench.models.card import Paper, Supervision
from sysu30k_bench.results.embedding_facts import EmbeddingFacts, Sha256

ROWS, EVIDENCE = "rows", "evidence"
"""Folders of a board."""
Status = Literal["reported", "self-reported", "re-scored", "audited", "reproduced"]
STATUSES: tuple[Status, ...] = ("reported", "self-reported", "re-scored", "audited", "reproduced")
"""From an unverified claim to a repetition by another person; each status is worth more than the one before."""

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
_LINK = re.compile(r"https?://([^\s/?#(){}<>\\]+)[^\s(){}<>\\]*")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)
SCORES = FROM_RANKS
OPEN_SET_SCORES = tuple(name for name in OPEN_SET if METRICS[name].main)
"""Error rates, less is better; rows of earlier versions have none."""


class Evidence(EmbeddingFacts):
    """The evidence of a row that is more than an unverified claim: how its embeddings were made, and these digests.

    Attributes:
        ranking_sha256: Of `leaderboard/evidence/<id>.csv`, from which every number is computed.
        query_fingerprint: Of the query list.
        gallery_fingerprint: Of the gallery list.
        shards_root: Merkle root over the digests of all embedding shards, which an audit verifies.
        shards: How many there are.
        protocol_sha256: Of the rules of counting.
        tool: What computed it.
    """

    ranking_sha256: Sha256
    query_fingerprint: Sha256
    gallery_fingerprint: Sha256
    shards_root: Sha256
    shards: int = Field(ge=1, le=10**7)
    weights_sha256: Sha256
    dimension: int = Field(ge=1, le=10**6, strict=True)
    protocol_sha256: Sha256
    tool: str = Field(max_length=100)


class Cost(BaseModel):
    """What a network took, and where that was measured.

    Attributes:
        parameters: Of the network that embeds.
        images_per_second: Embedded, with reading and decoding.
        embedded_on: The machine of that number: its processor or GPU.
        search_seconds: For all queries among the whole gallery.
        searched_on: The machine of that number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameters: int | None = Field(None, ge=0, le=10**12, strict=True)
    images_per_second: float | None = Field(None, gt=0, le=10**7, allow_inf_nan=False)
    embedded_on: str | None = Field(None, max_length=200)
    search_seconds: float | None = Field(None, ge=0, le=10**8, allow_inf_nan=False)
    searched_on: str | None = Field(None, max_length=200)

    @model_validator(mode="after")
    def _names_its_machines(self) -> Cost:
        timed = ((self.images_per_second, self.embedded_on), (self.search_seconds, self.searched_on))
        if any(value is not None and not machine for value, machine in timed):
            raise ValueError("a time needs the name of the machine on which it was measured")
        return self


class Row(BaseModel):
    """One result on SYSU-30k.

    Attributes:
        id: The file's name without its ending.
        method: Name of the method.
        supervision: What it was trained with.
        rank1: Rank-1 as a fraction; as are all scores, where they are known.
        fnir_at_fpir1: Misses at the threshold at which 1 % of searches without their match return anything; less is
            better.
        fnir_at_fpir10: The same at 10 %.
        n: Queries.
        date: When the number was stated, if known: a year, a month or a day (ISO 8601); of a submission,
            when the run was scored.
        status: How far the number can be trusted; `reported` is an unverified claim.
        source: Where the number is published.
        claimed_by: Who claims the number.
        weights: The weights, as far as known.
        notes: Other remarks for readers.
        paper: The method's publication.
        trained_on: Data sets and labels that the weights were trained with.
        cost: Size and speed of the network.
        corrects: Id of an earlier row that this one replaces; rows are never changed, a correction is a separate row.
        evidence: Digests and settings of the run; of every status except `reported`.
        practice: True for a row on drawn people, which only a practice board accepts; absent from all other rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    row_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    method: str = Field(min_length=1, max_length=100)
    supervision: Supervision
    rank1: Fraction
    rank5: Fraction | None = None
    rank10: Fraction | None = None
    rank20: Fraction | None = None
    ap_standard: Fraction | None = None
    ap_trapezoid: Fraction | None = None
    minp: Fraction | None = None
    fnir_at_fpir1: Fraction | None = None
    fnir_at_fpir10: Fraction | None = None
    n: int = Field(ge=1, le=10**6, strict=True)
    date: str | None = Field(None, pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$")
    status: Status
    source: str = Field(min_length=1, max_length=500)
    claimed_by: str = Field(min_length=1, max_length=200)
    weights: str = Field(max_length=500)
    notes: str = Field("", max_length=1000)
    paper: Paper | None = None
    trained_on: str | None = Field(None, max_length=200)
    cost: Cost | None = None
    corrects: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    evidence: Evidence | None = None
    practice: Literal[True] | None = None

    @model_validator(mode="after")
    def _is_backed(self) -> Row:
        if (self.status == "reported") != (self.evidence is None):
            raise ValueError("a row has evidence exactly when its status is more than `reported`")
        return self

    @model_validator(mode="after")
    def _is_plain(self) -> Row:
        texts = [self.method, self.source, self.claimed_by, self.weights, self.notes]
        texts += [self.trained_on or "", *((self.cost.embedded_on, self.cost.searched_on) if self.cost else ())]
        texts += [self.paper.title, self.paper.url] if self.paper else []
        texts += (
            [self.evidence.adapter, self.evidence.feature, self.evidence.flip, self.evidence.tool]
            if self.evidence
            else []
        )
        for text in texts:
            if text and (fault := word_fault(text)):
                raise ValueError(f"{fault}: {ascii(text)[:60]}")
        if not name_key(self.method):
            raise ValueError("a method needs a readable name")
        if self.paper and self.paper.url:
            found = _LINK.fullmatch(self.paper.url)
            if found is None or not self.paper.url.isascii():
                raise ValueError("a paper's url is ASCII, and holds no blanks, brackets or backslashes")
            if link_fault(found[1]):
                raise ValueError("a paper's url has a plain host: letters, digits, dots and dashes")
        return self

    @model_validator(mode="after")
    def _is_in_time(self) -> Row:
        if self.date is not None:
            try:
                dt.date.fromisoformat((self.date + "-01-01")[:10])
            except ValueError as error:
                raise ValueError(f"{self.date} is no date") from error
        if self.paper and self.paper.year is not None and not 1900 <= self.paper.year <= 2100:
            raise ValueError("a paper's year is between 1900 and 2100")
        return self

    @field_validator("id")
    @classmethod
    def _is_a_file_everywhere(cls, name: str) -> str:
        if name in _DEVICES:
            raise ValueError(f"{name} is the name of a device on some systems, and no file's")
        return name


def row_schema() -> str:
    """The published JSON Schema of a row, as text; `leaderboard check` holds what it cannot say."""
    return json.dumps(Row.model_json_schema(), indent=1) + "\n"


def parse_row(content: bytes) -> Row:
    """Reads a row; keys that stand twice, NaN and infinity are refused.

    Raises:
        ValueError: It is no row; pydantic's ValidationError is one, too.
    """
    return Row.model_validate(parse_strictly(content))


def parse_strictly(content: bytes) -> object:
    """Reads JSON of a stranger.

    Raises:
        ValueError: It is none, or has keys that stand twice, NaN or infinity.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"keys occur twice: {', '.join(sorted(twice))}")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of a row")


def published_rows() -> list[Row]:
    """Returns the rows that the package carries, best rank-1 first."""
    folder = resources.files("sysu30k_bench.leaderboard").joinpath("rows")
    return in_order([parse_row(item.read_bytes()) for item in folder.iterdir() if item.name.endswith(".json")])


class Standing(Protocol):
    """What is ordered and compared by rank-1: a row, or a run."""

    @property
    def id(self) -> str:
        """Its name among the others."""

    @property
    def method(self) -> str:
        """The method's name."""

    @property
    def rank1(self) -> float:
        """Rank-1, a fraction."""

    @property
    def n(self) -> int:
        """Queries."""


Stands = TypeVar("Stands", bound=Standing)


def row_bytes(row: Row) -> bytes:
    """Writes a row as its file has it."""
    return (json.dumps(row.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False) + "\n").encode()


def in_order(rows: Iterable[Stands]) -> list[Stands]:
    """Sorts rows, or runs: best rank-1 first, then by name."""
    return sorted(rows, key=lambda row: (-row.rank1, row.method, row.id))


def neighbours(rank1: float, around: int = 2) -> tuple[list[Row], list[Row]]:
    """Returns the published rows just above a rank-1 and just below it.

    Args:
        rank1: A fraction.
        around: How many on each side at most.

    Returns:
        The rows above (best first) and those equal or below (best first).
    """
    rows = published_rows()
    above = [row for row in rows if row.rank1 > rank1]
    below = [row for row in rows if row.rank1 <= rank1]
    return above[-around:], below[:around]
