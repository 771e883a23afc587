"""The difficulty map: a strip for each ranking, all in one order of queries, from easy to hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from sysu30k_bench.board.site.view import bucket_of
from sysu30k_bench.results.ranked_run import RankedRun


class Bar(NamedTuple):
    """Neighbouring queries of one bucket.

    Attributes:
        first: Place of the first one.
        width: How many.
        bucket: `b0` (rank 1) to `b5` (over 1,000), `b6` without a match.
    """

    first: int
    width: int
    bucket: str


class HeatRow(NamedTuple):
    """One ranking's strip.

    Attributes:
        name: The row's id.
        bars: From the easiest query to the hardest.
        said: How many queries stand at rank 1, for those who do not see it.
    """

    name: str
    bars: list[Bar]
    said: str


def heat_map(names: Sequence[str], evidence: Mapping[str, RankedRun]) -> list[HeatRow]:
    """Lays the ranks of many rankings side by side.

    Queries are sorted by the mean of their ranks over the rankings (ties against the match; a query without a match
    counts as ranked last); equal ones keep the order of the first ranking.

    Args:
        names: Ids of rankings of the same queries, best first.
        evidence: Rankings by id.
    """
    queries = evidence[names[0]].per_query.index
    ranks = np.stack([evidence[name].per_query["pessimistic"].loc[queries].to_numpy(float) for name in names])
    last = np.stack([evidence[name].ranked.loc[queries].to_numpy(float) for name in names])
    order = np.where(np.isnan(ranks), last, ranks).mean(axis=0).argsort(kind="stable")
    return [_strip(name, of_row[order]) for name, of_row in zip(names, ranks, strict=True)]


def _strip(name: str, ranks: np.ndarray) -> HeatRow:
    bars: list[Bar] = []
    for bucket, same in groupby(bucket_of(rank) for rank in ranks.tolist()):
        first = bars[-1].first + bars[-1].width if bars else 0
        bars.append(Bar(first, sum(1 for _ in same), bucket))
    return HeatRow(name, bars, f"{name}: {int((ranks == 1).sum()):,} of {len(ranks):,} queries at rank 1")
