"""Mated and non-mated searches, from a ranking: each query once with its matches, and once with them withheld."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.search.ranking import Ranking

RANK_LIMITS = tuple(dict.fromkeys(info.rank_limit for info in METRICS.values() if info.rank_limit is not None))


@dataclass(frozen=True)
class Searches:
    """What every query contributes to open-set rates; NaN where it contributes nothing.

    Attributes:
        query: (Q,) keys.
        mated: (Q,) score of the best match; NaN for queries without a match.
        other: (Q,) score of the best image that is no match: what the query finds where its matches are withheld. NaN
            where there is none, or where it is not known.
        found: By rank limit, (Q,) probability that a match stands there or better under a random order of ties.
    """

    query: np.ndarray
    mated: np.ndarray
    other: np.ndarray
    found: dict[int, np.ndarray]

    @property
    def with_mate(self) -> np.ndarray:
        """(Q,) bool, which queries are mated searches."""
        known: np.ndarray = ~np.isnan(self.mated)
        return known

    @property
    def without_mate(self) -> np.ndarray:
        """(Q,) bool, which queries are non-mated searches once their matches are withheld."""
        known: np.ndarray = ~np.isnan(self.other)
        return known

    @property
    def real_non_mated(self) -> int:
        """Non-mated searches of queries that have no match at all."""
        return int((self.without_mate & ~self.with_mate).sum())

    def take(self, places: np.ndarray) -> Searches:
        """Returns the searches at some places, in their order."""
        found = {limit: values[places] for limit, values in self.found.items()}
        return replace(self, query=self.query[places], mated=self.mated[places], other=self.other[places], found=found)


def searches_of(ranking: Ranking, per_query: pd.DataFrame, top: pd.DataFrame | None = None) -> Searches:
    """Reads the searches off a ranking.

    A match's score less its margin is the score of the best other image. A query without any match has neither; its
    best score is the first of its top list.

    Args:
        ranking: The exact ranks.
        per_query: As `per_query_metrics` gives it, of the same ranking.
        top: The best images of every query, as `top.csv` has them; for queries without a match.
    """
    matched = ranking.matched.sort_values("score", ascending=False, kind="stable").drop_duplicates("query")
    matched = matched.set_index("query").reindex(per_query.index)
    mated = matched["score"].to_numpy(float)
    other = mated - matched["margin"].to_numpy(float)
    if top is not None:
        best = top[(top["match"] == 0)].groupby("query")["score"].max().reindex(per_query.index).to_numpy(float)
        other = np.where(np.isnan(mated), best, other)
    found = {limit: per_query[f"rank{limit}"].to_numpy(float) for limit in RANK_LIMITS}
    return Searches(per_query.index.to_numpy(), mated, other, found)
