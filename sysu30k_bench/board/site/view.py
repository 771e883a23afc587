"""What the pages show of rows: numbers as text, squares of the query strip, cells of the pairs' table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from sysu30k_bench.board.groups import Apart
from sysu30k_bench.board.rows import STATUSES, Row
from sysu30k_bench.metrics.catalogue import MISSES
from sysu30k_bench.metrics.intervals import wilson
from sysu30k_bench.results.ranked_run import RankedRun

SHOWN_SCORES = ("ap_standard", "ap_trapezoid", "rank5", "rank10")
_BUCKETS = ((1, "rank 1"), (5, "2 to 5"), (10, "6 to 10"), (100, "11 to 100"), (1000, "101 to 1,000"))


class RowView(NamedTuple):
    """A row as the table shows it; scores in per cent.

    Attributes:
        row: The row.
        group: Number of its group.
        low: Lower end of rank-1's interval.
        high: Upper end.
    """

    row: Row
    group: int
    low: float
    high: float

    @property
    def interval(self) -> str:
        """Rank-1's interval as text."""
        return f"{self.low:.1f} to {self.high:.1f}"

    @property
    def costs(self) -> list[tuple[str, str, float | None]]:
        """Names, texts and numbers of what the row's network takes; empty where it is not known."""
        cost, evidence = self.row.cost, self.row.evidence
        dimension = evidence.dimension if evidence else None
        stored = dimension * (2 if evidence and evidence.storage == "float16" else 4) if dimension else None
        found: list[tuple[str, str, float | None]] = [
            ("parameters", _short_number(cost.parameters if cost else None), cost.parameters if cost else None),
            ("dimension", f"{dimension:,}" if dimension else "", dimension),
            ("stored", f"{stored:,}" if stored else "", stored),
        ]
        rate, seconds = (cost.images_per_second, cost.search_seconds) if cost else (None, None)
        found.append(("rate", f"{rate:,.0f}" if rate else "", rate))
        return [*found, ("seconds", f"{seconds:,.1f}" if seconds is not None else "", seconds)]

    @property
    def cells(self) -> list[str]:
        """The other scores, empty where they are not known."""
        return [per_cent(getattr(self.row, name)) for name in SHOWN_SCORES]

    @property
    def misses(self) -> str:
        """FNIR at FPIR 1 %, where it is known."""
        return per_cent(getattr(self.row, MISSES))

    @property
    def sortable(self) -> list[tuple[str, str]]:
        """Names and values that the table can be sorted by."""
        values = {name: getattr(self.row, name) for name in ("rank1", *SHOWN_SCORES, MISSES)}
        values |= {name: number for name, _, number in self.costs}
        return [(name, f"{value:.12g}") for name, value in values.items() if value is not None]

    @property
    def trust(self) -> int:
        """The place of its status among all, from an unverified claim upwards."""
        return STATUSES.index(self.row.status)


class Square(NamedTuple):
    """One query of a strip.

    Attributes:
        bucket: `b0` (rank 1) to `b5` (over 1,000), `b6` without a match.
        caption: Which query it is, and its rank.
    """

    bucket: str
    caption: str


class PairCell(NamedTuple):
    """A cell of the table of pairs."""

    kind: str
    text: str
    caption: str


def view(row: Row, group: int) -> RowView:
    """Lays a row out."""
    interval = wilson(row.rank1 * row.n, row.n)
    return RowView(row, group, interval.low * 100, interval.high * 100)


def _short_number(count: int | None) -> str:
    """A number of parameters: 25.6 M."""
    return "" if count is None else f"{count / 1e6:.1f} M" if count >= 10**5 else f"{count:,}"


def per_cent(value: float | None) -> str:
    """A fraction in per cent, with one decimal; nothing where it is not known."""
    return "" if value is None else f"{value * 100:.1f}"


def squares(run: RankedRun) -> list[Square]:
    """Every query of a ranking, in its order."""
    found = []
    for key, rank in run.per_query["pessimistic"].items():
        bucket = bucket_of(rank)
        caption = f"{key}: no match" if np.isnan(rank) else f"{key}: rank {rank:,.0f}"
        found.append(Square(bucket, caption))
    return found


def bucket_counts(shown: list[Square]) -> list[tuple[str, str, int]]:
    """Name, title and count of each kind of square."""
    titles = [title for _, title in _BUCKETS] + [f"over {_BUCKETS[-1][0]:,}", "no match"]
    counts = [sum(square.bucket == f"b{number}" for square in shown) for number in range(len(titles))]
    return [(f"b{number}", title, counts[number]) for number, title in enumerate(titles)]


def bucket_of(rank: float) -> str:
    """Returns the bucket of a rank: `b0` (rank 1) to `b5` (over 1,000), `b6` for NaN, which is no match."""
    if np.isnan(rank):
        return "b6"
    return f"b{next((number for number, (most, _) in enumerate(_BUCKETS) if rank <= most), len(_BUCKETS))}"


def pair_cells(rows: list[Row], tests: Mapping[tuple[str, str], Apart]) -> list[list[PairCell]]:
    """The lower half of the table of pairs, in the order of the rows; each row ends before its diagonal."""
    return [[_cell(tests[one.id, other.id]) for other in rows[:number]] for number, one in enumerate(rows)]


def pairs_table(rows: list[Row], tests: Mapping[tuple[str, str], Apart]) -> pd.DataFrame:
    """Lists every pair: ids, how it was tested, p, and p after Holm's correction."""
    found = [(one, other, tests[one.id, other.id]) for one, other in combinations(rows, 2)]
    return pd.DataFrame(
        [
            (one.id, other.id, "mcnemar" if test.paired else "independent", test.p, test.holm)
            for one, other, test in found
        ],
        columns=["better", "worse", "test", "p", "p_holm"],
    )


def _cell(test: Apart) -> PairCell:
    kind, p = "apart" if test.told else "same", test.holm
    text = "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0") if p < 0.9995 else "1"
    return PairCell(kind, text + ("*" if test.paired else ""), f"p {test.p:.2g} before Holm's correction")
