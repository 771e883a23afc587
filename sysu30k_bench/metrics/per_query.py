"""Every metric of every query, from the ranks of its matches."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from sysu30k_bench.metrics.expected import (
    TieGroup,
    expected_inverse_last_rank,
    expected_precision_sums,
    group_ties,
    hit_probability,
)

CMC_RANKS = (1, 5, 10, 20)


def per_query_metrics(query: list[str], table: pd.DataFrame) -> pd.DataFrame:
    """Computes what each query contributes to each metric.

    A query without a match contributes 0 everywhere, as in the reference script, where it stays in the denominator.

    Args:
        query: Every query once, in order.
        table: Rows of a ranking that have a match: `query`, `rank_low`, `rank_high`.

    Returns:
        One row a query, in order: `rank1`, `rank5`, `rank10`, `rank20` (probability of a hit under random tie order),
        `ap_standard`, `ap_trapezoid`, `minp` (number of matches over the hardest match's rank, Ye et al., Deep
        Learning for Person Re-identification, TPAMI 2021), `first_rank` (expected rank of the first match,
        NaN without one), `optimistic` and `pessimistic` (first rank with ties in its favour and against it).
    """
    low, high = table["rank_low"].to_numpy(np.int64), table["rank_high"].to_numpy(np.int64)
    rows = dict.fromkeys(query, _WITHOUT_MATCH)
    for key, positions in table.groupby("query", sort=False).indices.items():
        mine, worst = low[positions], high[positions]
        rows[str(key)] = _of_single(int(mine[0]), int(worst[0])) if len(positions) == 1 else _of_one(mine, worst)
    return pd.DataFrame(list(rows.values()), index=pd.Index(rows, name="query"))


_WITHOUT_MATCH = {f"rank{k}": 0.0 for k in CMC_RANKS} | {
    "ap_standard": 0.0,
    "ap_trapezoid": 0.0,
    "minp": 0.0,
    "first_rank": np.nan,
    "optimistic": np.nan,
    "pessimistic": np.nan,
}


@lru_cache(maxsize=1 << 16)
def _of_single(rank_low: int, rank_high: int) -> dict[str, float]:
    # SYSU-30k has one match a query, and the same ranking is scored for its record, its row and every check
    return _of_one(np.array([rank_low]), np.array([rank_high]))


def _of_one(rank_low: np.ndarray, rank_high: np.ndarray) -> dict[str, float]:
    groups = group_ties(rank_low, rank_high)
    count = len(rank_low)
    sums = [expected_precision_sums(group) for group in groups]
    first = groups[0]
    return {f"rank{k}": max(hit_probability(group, k) for group in groups) for k in CMC_RANKS} | {
        "ap_standard": min(1.0, sum(standard for standard, _ in sums) / count),
        "ap_trapezoid": min(1.0, sum(trapezoid for _, trapezoid in sums) / count),
        "minp": min(1.0, count * expected_inverse_last_rank(groups[-1])),
        "first_rank": _expected_first_rank(first),
        "optimistic": float(rank_low.min()),
        "pessimistic": float(_worst_first_rank(groups)),
    }


def _expected_first_rank(group: TieGroup) -> float:
    return group.before + (group.size + 1) / (group.matches + 1)


def _worst_first_rank(groups: list[TieGroup]) -> int:
    return min(group.before + group.size - group.matches + 1 for group in groups)
