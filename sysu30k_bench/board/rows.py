"""Rows of the leaderboard: one JSON file a method in `leaderboard/rows/`."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sysu30k_bench.models.card import Paper, Supervision

Status = Literal["reported", "self-reported", "re-scored", "audited", "reproduced"]


class Row(BaseModel):
    """One result on SYSU-30k.

    Attributes:
        id: The file's name without its ending.
        method: Name of the method.
        supervision: What it was trained with.
        rank1: Rank-1 as a fraction.
        rank5: Rank-5, where known.
        rank10: Rank-10, where known.
        ap_trapezoid: Mean trapezoid AP, where known.
        status: How far the number can be trusted; `reported` is somebody's word.
        source: Where the number stands.
        claimed_by: Whose word it is.
        weights: What is known of the weights behind it.
        notes: What else a reader should know.
        paper: The method's publication.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    row_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    method: str = Field(max_length=100)
    supervision: Supervision
    rank1: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
    rank5: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    rank10: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    ap_trapezoid: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    n: int = Field(ge=1)
    status: Status
    source: str = Field(max_length=500)
    claimed_by: str = Field(max_length=200)
    weights: str = Field(max_length=500)
    notes: str = Field("", max_length=1000)
    paper: Paper | None = None


def published_rows() -> list[Row]:
    """Returns the rows that the package carries, best rank-1 first."""
    folder = resources.files("sysu30k_bench.leaderboard").joinpath("rows")
    rows = [Row.model_validate_json(item.read_bytes()) for item in folder.iterdir() if item.name.endswith(".json")]
    return sorted(rows, key=lambda row: (-row.rank1, row.method))


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
