"""Expectations of a metric over a random order of ties.

A tie group holds n ranked rows with equal scores, m matches among them; b rows, h of them matches, come before it.
Every order of the group is equally likely, so that a constant network scores what chance scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import gammaln


@dataclass(frozen=True)
class TieGroup:
    """Rows of equal score that contain matches.

    Attributes:
        before: b, rows ranked before the group.
        matches_before: h, matches among them.
        size: n, rows in the group.
        matches: m, matches in the group, at least 1.
    """

    before: int
    matches_before: int
    size: int
    matches: int


def group_ties(rank_low: np.ndarray, rank_high: np.ndarray) -> list[TieGroup]:
    """Groups one query's matches by tie, best first.

    Matches with the same bounds are in one group. Bounds can overlap without being equal, since a tolerance is not
    transitive; such matches form groups of their own.

    Args:
        rank_low: (m,) int64, each match's best possible rank.
        rank_high: (m,) int64, its worst.
    """
    bounds, counts = np.unique(np.stack([rank_low, rank_high], axis=1), axis=0, return_counts=True)
    before = np.cumsum(counts) - counts
    return [
        TieGroup(int(low) - 1, int(earlier), int(high) - int(low) + 1, int(count))
        for (low, high), earlier, count in zip(bounds, before, counts, strict=True)
    ]


def hit_probability(group: TieGroup, k: int) -> float:
    """Returns the probability that a match of the group has rank k or better."""
    places = k - group.before
    if places <= 0:
        return 0.0
    if places > group.size - group.matches:
        return 1.0
    if group.matches == 1:
        return places / group.size
    return float(stats.hypergeom.sf(0, group.size, group.matches, places))


def expected_precision_sums(group: TieGroup) -> tuple[float, float]:
    """Expected sums, over the group's matches, of what each adds to an average precision.

    With i matches up to and including a match at rank r, the standard form adds i / r; the trapezoid form, of the
    Oxford and Market-1501 scripts, adds the mean of i / r and (i - 1) / (r - 1), the latter being 1 at r = 1.

    Returns:
        The standard and the trapezoid sums, not yet divided by the query's number of matches.
    """
    n, m = group.size, group.matches
    offset = np.arange(n, dtype=np.float64)
    rank = group.before + 1 + offset
    earlier = group.matches_before + (offset * (m - 1) / (n - 1) if n > 1 else np.zeros(1))
    standard = (earlier + 1) / rank
    previous = np.divide(earlier, rank - 1, out=np.ones(n), where=rank > 1)
    return float(m * standard.mean()), float(m * (0.5 * (standard + previous)).mean())


def expected_inverse_last_rank(group: TieGroup) -> float:
    """Expectation of 1 / rank of the group's last match."""
    n, m = group.size, group.matches
    place = np.arange(m, n + 1, dtype=np.float64)
    log_probability = np.log(m) + gammaln(place) - gammaln(place - m + 1) - gammaln(n + 1) + gammaln(n - m + 1)
    return float(np.sum(np.exp(log_probability) / (group.before + place)))
