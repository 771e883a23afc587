"""What a list of runs can be sorted by; imported for help, so that it needs nothing."""

from __future__ import annotations

from sysu30k_bench.metrics.catalogue import METRICS

SORTS = (*METRICS, "dimension", "images_per_second", "created", "name")
"""Best, largest or newest first, and names from A."""
