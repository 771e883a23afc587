"""All headline numbers of a run, from its ranking alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sysu30k_bench.metrics.intervals import Interval, bootstrap_mean, median, wilson
from sysu30k_bench.metrics.per_query import CMC_RANKS, per_query_metrics
from sysu30k_bench.search.ranking import Ranking


@dataclass(frozen=True)
class Summary:
    """The numbers of a run.

    Attributes:
        n: Queries, those without a match included: the denominator of every metric.
        rank: CMC at 1, 5, 10 and 20: the expectation under random tie order, with Wilson's interval.
        rank1_optimistic: Rank-1 with every tie in the match's favour.
        rank1_pessimistic: Rank-1 with every tie against it: the least that the reference's reversed sort can give.
        ap_standard: Mean of the average precision as retrieval defines it.
        ap_trapezoid: Mean of the reference script's trapezoid average precision.
        ap_trapezoid_pessimistic: The same with every tie against the match.
        minp: Mean inverse negative penalty.
        median_rank: Median rank of the first match; queries without one count as infinite, None where the interval
            reaches them.
        per_query: What each query contributes, as `per_query_metrics` gives it.
    """

    n: int
    rank: dict[int, Interval]
    rank1_optimistic: float
    rank1_pessimistic: float
    ap_standard: Interval
    ap_trapezoid: Interval
    ap_trapezoid_pessimistic: float
    minp: Interval
    median_rank: Interval | None
    per_query: pd.DataFrame


def summarise(ranking: Ranking) -> Summary:
    """Computes every number of a run from its ranks.

    Args:
        ranking: The exact ranks.
    """
    queries = ranking.query_keys
    matched = ranking.matched
    per_query = per_query_metrics(queries, matched)
    against = matched.assign(rank_low=_worst_ranks(matched))
    worst = per_query_metrics(queries, against.assign(rank_high=against["rank_low"]))
    n = len(queries)
    middle = median(per_query["first_rank"].fillna(np.inf).to_numpy())
    return Summary(
        n=n,
        rank={k: wilson(float(per_query[f"rank{k}"].sum()), n) for k in CMC_RANKS},
        rank1_optimistic=float((per_query["optimistic"] <= 1).mean()),
        rank1_pessimistic=float((per_query["pessimistic"] <= 1).mean()),
        ap_standard=bootstrap_mean(per_query["ap_standard"].to_numpy()),
        ap_trapezoid=bootstrap_mean(per_query["ap_trapezoid"].to_numpy()),
        ap_trapezoid_pessimistic=float(worst["ap_trapezoid"].mean()),
        minp=bootstrap_mean(per_query["minp"].to_numpy()),
        median_rank=middle if np.isfinite(middle.high) else None,
        per_query=per_query,
    )


def _worst_ranks(matched: pd.DataFrame) -> pd.Series[int]:
    """Ranks with every distractor of a tie group before its matches: the last places go to the matches, one each."""
    later = matched.groupby(["query", "rank_low", "rank_high"], sort=False).cumcount()
    return (matched["rank_high"] - later).astype("int64")
