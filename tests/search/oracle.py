"""The search as one would write it without thinking of time: the rule of the design, pair by pair."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.data.protocol import Relevance
from sysu30k_bench.search.score import TIE, pair_scores


def all_scores(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Exact scores of every pair, (Q, G) float64."""
    return np.stack([pair_scores(np.repeat(query[None], len(gallery), 0), gallery) for query in queries])


def naive_search(
    queries: np.ndarray, gallery: np.ndarray, rel: Relevance, k: int
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Returns (above, tied) of every match, and the top-k positions of every query."""
    scores = all_scores(queries, gallery)
    ranked = np.ones(scores.shape, bool)
    ranked[:, rel.junk_for_all] = False
    ranked[rel.junk_query, rel.junk_position] = False
    counts = []
    for query, match in zip(rel.match_query, rel.match_position, strict=True):
        difference = scores[query] - scores[query, match]
        others = ranked[query].copy()
        others[match] = False
        counts.append((int((others & (difference > TIE)).sum()), int((others & (np.abs(difference) <= TIE)).sum())))
    tops = []
    for query in range(len(queries)):
        cell = np.rint(scores[query] / TIE)
        order = sorted(np.flatnonzero(ranked[query]).tolist(), key=lambda position: (-cell[position], position))
        tops.append(order[:k])
    return counts, tops
