"""The figures of other projects for a run, in one table; not part of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from sysu30k_bench.metrics.open_set.smaller import other_lists, true_pairs_at
from sysu30k_bench.metrics.peers import peer_figures
from sysu30k_bench.metrics.per_query import CMC_RANKS
from sysu30k_bench.search.ranking import Ranking

ROC_RATES = (1e-4, 1e-3, 1e-2)


class Figure(BaseModel):
    """One figure under three averages.

    Attributes:
        valid: Mean over queries that have a match.
        all: Over all queries, those without a match counting 0.
        identity: Mean over persons of the mean over their valid queries; None where persons are not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid: float
    all: float
    identity: float | None


class Figures(BaseModel):
    """All figures of a run.

    Attributes:
        queries: All queries.
        valid_queries: Those that have a match.
        figures: By name.
        true_pairs: By rate of false pairs (ROC), the share of true pairs accepted, or why it is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: int
    valid_queries: int
    figures: dict[str, Figure]
    true_pairs: dict[str, float | str]


def all_figures(
    ranking: Ranking,
    top: pd.DataFrame | None = None,
    identity: Mapping[str, int] | None = None,
    cmc_ranks: Sequence[int] = CMC_RANKS,
) -> Figures:
    """Computes the figures of other projects.

    Args:
        ranking: The exact ranks.
        top: Top lists, for the ROC.
        identity: Person of each query, for averages over persons.
        cmc_ranks: Ranks of the CMC.
    """
    queries, matched = ranking.query_keys, ranking.matched
    table = peer_figures(queries, matched, cmc_ranks, identity=identity)
    figures = {
        str(name): Figure(
            valid=float(np.nan_to_num(row["valid"])),
            all=float(row["all"]),
            identity=None if np.isnan(row["identity"]) else float(row["identity"]),
        )
        for name, row in table.iterrows()
    }
    pairs = {f"{rate:g}": _true_pairs(ranking, top, rate) for rate in ROC_RATES}
    valid = matched["query"].nunique()
    return Figures(queries=len(queries), valid_queries=int(valid), figures=figures, true_pairs=pairs)


def _true_pairs(ranking: Ranking, top: pd.DataFrame | None, rate: float) -> float | str:
    if top is None:
        return "there is no top.csv beside the ranking"
    matched, queries = ranking.matched, np.array(ranking.query_keys)
    if matched.empty:
        return "no query has a match"
    ranked = ranking.table.drop_duplicates("query").set_index("query")["ranked"].loc[queries].to_numpy()
    matches = matched["query"].value_counts().reindex(queries, fill_value=0).to_numpy()
    return true_pairs_at(other_lists(top, queries, ranked, matches), matched["score"].to_numpy(float), rate)
