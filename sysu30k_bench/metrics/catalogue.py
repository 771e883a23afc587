"""The table of metrics: what each is called, what people read for it, and which direction is better.

Records, panels, comparisons, gates, reports and boards read it; nothing else lists metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MetricInfo:
    """One metric; all are fractions, shown in per cent.

    Attributes:
        name: As in records, options and files.
        title: Title for tables and figures.
        better: Which direction is better.
        source: `ranks`: a mean of what every query contributes (`metrics.per_query`), under `metrics` in a record.
            `open set`: a rate at a threshold that the run itself sets (`metrics.open_set`), under `open_set`.
        rate: FPIR of an open-set metric.
        rank_limit: Largest rank of its match; None for any.
        main: Whether the short tables show it.
    """

    name: str
    title: str
    better: Literal["higher", "lower"] = "higher"
    source: Literal["ranks", "open set"] = "ranks"
    rate: float | None = None
    rank_limit: int | None = None
    main: bool = True

    def gain(self, difference: float) -> float:
        """Returns a difference of values as a gain: positive where the second value is better."""
        return difference if self.better == "higher" else -difference


def _open_set(per_cent: int) -> tuple[MetricInfo, ...]:
    rate = per_cent / 100
    at = f"FPIR {per_cent} %"
    return (
        MetricInfo(f"fnir_at_fpir{per_cent}", f"FNIR@{at}", "lower", "open set", rate),
        *(
            MetricInfo(f"tpir{k}_at_fpir{per_cent}", f"TPIR@{at}, rank {k}", "higher", "open set", rate, k, main=False)
            for k in (1, 20)
        ),
    )


RATES = {1: 0.01, 10: 0.1}
"""FPIR in per cent, and as a fraction, at which open-set metrics are taken."""

METRICS: dict[str, MetricInfo] = {
    one.name: one
    for one in (
        MetricInfo("rank1", "rank-1"),
        MetricInfo("rank5", "rank-5"),
        MetricInfo("rank10", "rank-10"),
        MetricInfo("rank20", "rank-20"),
        MetricInfo("ap_standard", "AP (standard)"),
        MetricInfo("ap_trapezoid", "AP (trapezoid)"),
        MetricInfo("minp", "mINP"),
        *(info for per_cent in RATES for info in _open_set(per_cent)),
    )
}

FROM_RANKS: tuple[str, ...] = tuple(name for name, info in METRICS.items() if info.source == "ranks")
"""Metrics that are means over queries."""

OPEN_SET: tuple[str, ...] = tuple(name for name, info in METRICS.items() if info.source == "open set")
"""Metrics at a threshold."""

MISSES = "fnir_at_fpir1"
"""The one of them that tables show; less is better."""


def title(name: str) -> str:
    """Returns the title of a metric."""
    return METRICS[name].title
