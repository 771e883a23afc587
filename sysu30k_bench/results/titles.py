"""Titles of the metrics that are means over queries; see `metrics.catalogue` for all metrics."""

from __future__ import annotations

from sysu30k_bench.metrics.catalogue import FROM_RANKS, METRICS

TITLES = {name: METRICS[name].title for name in FROM_RANKS}
