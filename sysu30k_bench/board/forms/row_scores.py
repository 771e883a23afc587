"""A row's scores with their intervals, for forms that carry both."""

from __future__ import annotations

from typing import NamedTuple

from sysu30k_bench.board.rows import OPEN_SET_SCORES, SCORES, Row
from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.metrics.intervals import Interval, bootstrap_mean, wilson
from sysu30k_bench.results.ranked_run import RankedRun


class Score(NamedTuple):
    """One score of a row; fractions.

    Attributes:
        name: As the row has it.
        title: As people read it.
        value: The score.
        low: Lower end of its 95 % interval; None where nothing is known of the queries behind a mean.
        high: Upper end.
        method: How the interval was computed; empty where there is none.
        lower_is_better: Whether it is an error rate.
    """

    name: str
    title: str
    value: float
    low: float | None
    high: float | None
    method: str
    lower_is_better: bool


def row_scores(row: Row, evidence: RankedRun | None) -> list[Score]:
    """Finds every score of a row, in the catalogue's order.

    Args:
        row: The row.
        evidence: Its ranking, without which means over queries have no interval.
    """
    found = []
    for name in (*SCORES, *OPEN_SET_SCORES):
        value = getattr(row, name)
        if value is None:
            continue
        interval, method = _interval(row, name, value, evidence)
        lower = METRICS[name].better == "lower"
        low, high = (interval.low, interval.high) if interval else (None, None)
        found.append(Score(name, METRICS[name].title, value, low, high, method, lower))
    return found


def _interval(row: Row, name: str, value: float, evidence: RankedRun | None) -> tuple[Interval | None, str]:
    if name.startswith("rank"):
        return wilson(value * row.n, row.n), "Wilson"
    if evidence is not None and name in evidence.per_query:
        found = bootstrap_mean(evidence.per_query[name].to_numpy(float))
        # the row's own value: the ranking gives it up to rounding
        return Interval(value, min(found.low, value), max(found.high, value)), "percentile bootstrap over queries"
    return None, ""


def first_url(text: str) -> str:
    """The first link of a text; empty where there is none."""
    words = (word.rstrip(",;.") for word in text.split())
    return next((word for word in words if word.startswith(("https://", "http://"))), "")
