"""Open-set rates counted one search at a time, and top lists cut from whole score matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from sysu30k_bench.metrics.open_set.searches import RANK_LIMITS, Searches

STEP = 1e-12


def steps(score: float) -> int:
    return round(score / STEP)


def misses(mated: list[float], threshold: float) -> float:
    return sum(steps(score) < steps(threshold) for score in mated) / len(mated)


def alarms(other: list[float], threshold: float) -> float:
    return sum(steps(score) >= steps(threshold) for score in other) / len(other)


def least_threshold(other: list[float], rate: float) -> float:
    """Tries every score and what lies one step above it, lowest first."""
    tried = sorted({steps(score) + more for score in other for more in (0, 1)})
    return next(step * STEP for step in tried if alarms(other, step * STEP) <= rate + 1e-12)


def searches(mated: np.ndarray, other: np.ndarray) -> Searches:
    """Searches whose match, where it exists, stands at rank 1 exactly where it beats the best other image."""
    found = {limit: np.where(mated > other, 1.0, 0.3).astype(float) for limit in RANK_LIMITS}
    return Searches(np.array([f"q{n}" for n in range(len(mated))]), mated, other, found)


def all_parts_rate(scores: np.ndarray, threshold: float, drawn: int) -> float:
    """Mean false-alarm rate over every part of the others, of a matrix of queries and others."""
    parts = [list(part) for part in itertools.combinations(range(scores.shape[1]), drawn)]
    found = [np.mean([row[part].max() >= threshold - STEP / 2 for part in parts]) for row in scores]
    return float(np.mean(found))


def top_lists(scores: np.ndarray, matched: np.ndarray, k: int) -> pd.DataFrame:
    """`top.csv` of a matrix (queries, gallery) whose column of each query's match is given; -1 where there is none."""
    rows = []
    for query, line in enumerate(scores):
        for place, position in enumerate(np.argsort(-line, kind="stable")[:k], 1):
            rows.append((f"q{query}", place, f"g{position}", line[position], int(position == matched[query])))
    return pd.DataFrame(rows, columns=["query", "place", "gallery", "score", "match"])
