"""What people read for the names of metrics."""

from __future__ import annotations

TITLES = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "rank10": "rank-10",
    "rank20": "rank-20",
    "ap_standard": "AP (standard)",
    "ap_trapezoid": "AP (trapezoid)",
    "minp": "mINP",
}
