"""Error rates at a threshold, as a row states them."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.board.rows import OPEN_SET_SCORES
from sysu30k_bench.metrics.open_set.points import contributions
from sysu30k_bench.metrics.open_set.searches import searches_of
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.search.ranking import Ranking


def open_set_scores(ranking: Ranking) -> dict[str, float]:
    """Computes a row's error rates at a threshold; those that too few searches would set are omitted."""
    searches = searches_of(ranking, per_query_metrics(ranking.query_keys, ranking.matched))
    rates = {name: contributions(searches, name) for name in OPEN_SET_SCORES}
    return {name: float(np.nanmean(values)) for name, values in rates.items() if not isinstance(values, str)}
