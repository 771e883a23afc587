"""Figures that other projects print, under the conventions that they print them by.

All are computed from the ranks alone, with every tie against the match: peers leave ties to their sort. A convention is
part of a name, for a bare "mAP@10" has three meanings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

K = (5, 10)


def worst_ranks(matched: pd.DataFrame) -> pd.Series[int]:
    """Ranks with every distractor of a tie group before its matches: the last places go to the matches, one each.

    Args:
        matched: Rows of a ranking that have a match: `query`, `rank_low`, `rank_high`.
    """
    later = matched.groupby(["query", "rank_low", "rank_high"], sort=False).cumcount()
    return (matched["rank_high"] - later).astype("int64")


def hit(ranks: np.ndarray, k: int) -> float:
    """Whether some match is at rank k or better: rank-k, CMC@k, hit rate@k."""
    return float(ranks[0] <= k)


def average_precision(ranks: np.ndarray) -> float:
    """Mean over matches of i / rank_i: torchreid's and fast-reid's mAP, torchmetrics' `retrieval_average_precision`."""
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def average_precision_trapezoid(ranks: np.ndarray) -> float:
    """Mean of i / rank_i and (i - 1) / (rank_i - 1), the latter 1 at rank 1: SYSU-30k's and Market-1501's scripts."""
    number = np.arange(1, len(ranks) + 1)
    before = np.where(ranks > 1, (number - 1) / np.maximum(ranks - 1, 1), 1.0)
    return float(((number / ranks + before) / 2).mean())


def inverse_penalty(ranks: np.ndarray) -> float:
    """Matches over the last match's rank: mINP of fast-reid and AGW."""
    return float(len(ranks) / ranks[-1])


def reciprocal_rank(ranks: np.ndarray) -> float:
    """1 / rank of the first match: MRR."""
    return float(1 / ranks[0])


def r_precision(ranks: np.ndarray) -> float:
    """Share of matches among the best R, R being the query's number of matches."""
    return float((ranks <= len(ranks)).mean())


def map_at_r(ranks: np.ndarray) -> float:
    """Sum of the precisions at matches among the best R, over R (Musgrave et al., ECCV 2020)."""
    within = ranks[ranks <= len(ranks)]
    return float((np.arange(1, len(within) + 1) / within).sum() / len(ranks))


def map_at_k_of_found(ranks: np.ndarray, k: int) -> float:
    """Mean of the precisions at matches among the best k, over those found: torchmetrics and open-metric-learning."""
    within = ranks[ranks <= k]
    return float((np.arange(1, len(within) + 1) / within).mean()) if len(within) else 0.0


def map_at_k_of_possible(ranks: np.ndarray, k: int) -> float:
    """Sum of the same precisions over min(k, R), as on Kaggle and in programs like trec_eval."""
    within = ranks[ranks <= k]
    return float((np.arange(1, len(within) + 1) / within).sum() / min(k, len(ranks)))


def precision_at_k(ranks: np.ndarray, k: int) -> float:
    """Matches among the best k, over k: torchmetrics' `retrieval_precision`."""
    return float((ranks <= k).sum() / k)


def precision_at_k_of_possible(ranks: np.ndarray, k: int) -> float:
    """Matches among the best k, over min(k, R): open-metric-learning's precision."""
    return float((ranks <= k).sum() / min(k, len(ranks)))


def figures(cmc_ranks: Sequence[int], cutoffs: Sequence[int] = K) -> dict[str, Callable[[np.ndarray], float]]:
    """Names every figure: each takes one query's ranks, ascending.

    Args:
        cmc_ranks: Ranks of the CMC.
        cutoffs: k of precision and mAP.
    """
    named: dict[str, Callable[[np.ndarray], float]] = {f"rank-{k}": _at(hit, k) for k in cmc_ranks}
    named |= {
        "mAP (standard)": average_precision,
        "mAP (trapezoid)": average_precision_trapezoid,
        "mINP": inverse_penalty,
        "MRR": reciprocal_rank,
        "R-precision": r_precision,
        "mAP@R": map_at_r,
    }
    for k in cutoffs:
        named[f"mAP@{k} (over those found)"] = _at(map_at_k_of_found, k)
        named[f"mAP@{k} (over min(k, R))"] = _at(map_at_k_of_possible, k)
        named[f"precision@{k}"] = _at(precision_at_k, k)
        named[f"precision@{k} (over min(k, R))"] = _at(precision_at_k_of_possible, k)
    return named


def peer_figures(
    query: Sequence[str],
    matched: pd.DataFrame,
    cmc_ranks: Sequence[int],
    cutoffs: Sequence[int] = K,
    identity: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Computes every figure under three averages.

    Args:
        query: Every query once.
        matched: Rows of the ranking that have a match: `query`, `rank_low`, `rank_high`.
        cmc_ranks: Ranks of the CMC.
        cutoffs: k of precision and mAP.
        identity: Person of each query, where known.

    Returns:
        A row a figure: `valid` (mean over queries that have a match, as torchreid, fast-reid and the metric-learning
        libraries take it), `all` (a query without a match counts 0, as SYSU-30k's script and torchmetrics take it), and
        `identity` (mean over persons of the mean over their valid queries; NaN where persons are not known).
    """
    ranks = worst_ranks(matched)
    named = figures(cmc_ranks, cutoffs)
    rows = {}
    for key, places in matched.groupby("query", sort=False).indices.items():
        ordered = np.sort(ranks.to_numpy()[places])
        rows[str(key)] = [of_one(ordered) for of_one in named.values()]
    values = pd.DataFrame.from_dict(rows, orient="index", columns=list(named))
    found = pd.DataFrame({"valid": values.mean(), "all": values.sum() / len(query)})
    if identity is None or not rows:
        return found.assign(identity=np.nan)
    persons = [identity[key] for key in values.index]
    return found.assign(identity=values.groupby(persons).mean().mean())


def _at(of_one: Callable[[np.ndarray, int], float], k: int) -> Callable[[np.ndarray], float]:
    return lambda ranks: of_one(ranks, k)
