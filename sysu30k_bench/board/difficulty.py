"""Difficulty of queries over all rankings: which nobody solves, which one row alone does, which labels to doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sysu30k_bench.errors import DataError
from sysu30k_bench.results.ranked_run import RankedRun

CHANCE = 0.05


@dataclass(frozen=True)
class Difficulty:
    """Every query, over the rows that ranked it.

    Attributes:
        rows: Names of the rows that were read, in their order.
        left_out: Names of rows that are of other queries.
        table: By query: `solved` (rows that have its match at rank 1, every tie against it), `best` (lowest rank that
            any row gives it; NaN where it has no match), `by` (which row that is), `relative` (that rank over the
            images ranked) and `chance` (p-value of all its ranks together, were they drawn at random: Fisher's
            combination over rows).
    """

    rows: list[str]
    left_out: list[str]
    table: pd.DataFrame

    @property
    def unsolved(self) -> pd.DataFrame:
        """Queries that no row solves, hardest first."""
        hard: pd.DataFrame = self.table[self.table["solved"] == 0]
        return hard.sort_values("relative", ascending=False, kind="stable")

    @property
    def suspects(self) -> pd.DataFrame:
        """Queries whose match all rows together rank no better than random orders: a wrong label, or a useless image.

        It names what to look at, no more: rows are taken as independent, and there may be more.
        """
        odd: pd.DataFrame = self.table[self.table["chance"] >= CHANCE]
        return odd.sort_values("chance", ascending=False, kind="stable")

    @property
    def histogram(self) -> list[tuple[int, int]]:
        """How many rows solve how many queries: pairs of both numbers, from no row to all."""
        counts = np.bincount(self.table["solved"], minlength=len(self.rows) + 1)
        return [(solved, int(count)) for solved, count in enumerate(counts)]

    def only(self, name: str) -> list[str]:
        """Returns the queries that a row alone solves.

        Args:
            name: One of `rows`.
        """
        alone = (self.table["solved"] == 1) & (self.table["by"] == name)
        return [str(key) for key in self.table.index[alone]]


def difficulty(runs: Mapping[str, RankedRun]) -> Difficulty:
    """Looks at every query over many rankings.

    Args:
        runs: Rankings by name, best row first; those of other queries than most of the others are left out. Galleries
            may differ in size.

    Raises:
        DataError: There is no ranking.
    """
    if not runs:
        raise DataError("no row has a ranking", hint="rows that are only reported have no ranks of single queries")
    kept = _of_one_list(runs)
    queries = runs[kept[0]].per_query.index
    ranks = np.stack([runs[name].per_query["pessimistic"].loc[queries].to_numpy(float) for name in kept])
    sizes = np.stack([runs[name].ranked.loc[queries].to_numpy(float) for name in kept])
    lost = np.where(np.isnan(ranks), np.inf, ranks)
    best = lost.argmin(axis=0)
    across = np.arange(len(queries))
    relative = (lost / sizes).min(axis=0)
    logs = np.log(np.minimum(lost / sizes, 1)).sum(axis=0)
    table = pd.DataFrame(
        {
            "solved": (lost <= 1).sum(axis=0),
            "best": np.where(np.isfinite(lost[best, across]), lost[best, across], np.nan),
            "by": np.where(np.isfinite(relative), np.array(kept)[best], ""),
            "relative": np.where(np.isfinite(relative), relative, np.nan),
            "chance": np.where(np.isfinite(relative), stats.chi2.sf(-2 * logs, 2 * len(kept)), np.nan),
        },
        index=queries,
    )
    return Difficulty(kept, [name for name in runs if name not in kept], table)


def _of_one_list(runs: Mapping[str, RankedRun]) -> list[str]:
    """The names of the largest set of rankings that are of the same queries; the first such set of several."""
    sets: dict[frozenset[str], list[str]] = {}
    for name, run in runs.items():
        sets.setdefault(frozenset(map(str, run.per_query.index)), []).append(name)
    return max(sets.values(), key=len)
