"""Exact rates from stored top lists: in smaller galleries, and true positives at a rate of false pairs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sysu30k_bench.metrics.open_set.rates import allowed, fnir, grid, just_above, refusal, step_of
from sysu30k_bench.metrics.open_set.searches import Searches


class OtherLists(NamedTuple):
    """The best stored images of each query that are not its matches.

    Attributes:
        query: (L,) place of the query among all.
        step: (L,) score in steps of the grid, falling within a query.
        reach: (Q,) the lowest step that a query's list reaches; minus infinity where the list holds every other image.
        others: (Q,) images ranked that are no match.
    """

    query: np.ndarray
    step: np.ndarray
    reach: np.ndarray
    others: np.ndarray


class InGallery(NamedTuple):
    """An operating point in a smaller gallery, expected over random parts of the others.

    Attributes:
        gallery: Images, a query's matches counted.
        threshold: The least at which the expected FPIR is not above its limit.
        fpir: Expected there.
        fnir: Misses there; without a rank limit they depend on the threshold alone.
    """

    gallery: int
    threshold: float
    fpir: float
    fnir: float


def other_lists(top: pd.DataFrame, query: np.ndarray, ranked: np.ndarray, matches: np.ndarray) -> OtherLists:
    """Takes the matches out of top lists.

    Args:
        top: `query`, `place`, `score` and `match`, as `top.csv` has them.
        query: (Q,) keys.
        ranked: (Q,) images ranked for each.
        matches: (Q,) matches among them.
    """
    others = ranked.astype(np.int64) - matches
    place = pd.Index(query).get_indexer(top["query"])
    kept = (place >= 0) & (top["match"].to_numpy() == 0)
    where, step = place[kept], grid(top["score"].to_numpy(float))[kept]
    order = np.lexsort((-step, where))
    where, step = where[order], step[order]
    listed = np.bincount(where, minlength=len(query))
    lowest = np.full(len(query), np.inf)
    all_listed = np.bincount(place[place >= 0], minlength=len(query))
    # a list that ends in a match reaches down to that match
    last = pd.Series(grid(top["score"].to_numpy(float))).groupby(place).min()
    last = last[last.index >= 0]
    lowest[last.index.to_numpy()] = last.to_numpy()
    lowest[(listed >= others) | (all_listed >= ranked)] = -np.inf
    return OtherLists(where, step, lowest, others)


def in_smaller_gallery(lists: OtherLists, searches: Searches, rate: float, gallery: int) -> InGallery | str:
    """Finds the operating point of an FPIR in a smaller gallery: each query's matches, and others drawn at random.

    A non-mated search that has c others at or above T among N raises a false alarm in a part of m of them with the
    hypergeometric probability that at least one of the c is drawn. It is exact where every list reaches below T.

    Args:
        lists: The best others of every query.
        searches: Mated and non-mated searches, in the same order.
        rate: FPIR.
        gallery: Images in the part, one match counted.

    Returns:
        The point, or why there is none.
    """
    counted = lists.others > 0
    said = refusal(int(counted.sum()), rate)
    if said is not None:
        return said
    if gallery < 2 or gallery - 1 > int(lists.others[counted].min()):
        return f"a gallery of {gallery:,} is not a part of the searched one"
    drawn = gallery - 1
    number = np.arange(len(lists.query)) - np.searchsorted(lists.query, lists.query, side="left")
    among = lists.others[lists.query]
    missed = (stats.hypergeom.pmf(0, among, number + more, drawn) for more in (0, 1))
    gain = next(missed) - next(missed)
    steps, inverse = np.unique(lists.step, return_inverse=True)
    gained = np.bincount(inverse, weights=gain, minlength=len(steps))
    expected = np.cumsum(gained[::-1])[::-1] / int(counted.sum())  # at thresholds equal to each step
    over = np.flatnonzero(expected > rate * (1 + 1e-12))
    needed = float(steps[over[-1]]) if len(over) else -math.inf
    short = lists.reach[counted].max()
    if needed < short:
        reached = float(np.append(expected, 0.0)[np.searchsorted(steps, short, side="right")])
        return (
            f"the lists end above the threshold of FPIR {rate * 100:g} % among {gallery:,} images: they are exact "
            f"up to an FPIR of {reached * 100:.2g} % there; search again with a larger --top-k"
        )
    threshold = just_above(needed)
    place = np.searchsorted(steps, step_of(threshold), side="left")
    there = float(expected[place]) if place < len(steps) else 0.0
    return InGallery(gallery, threshold, there, fnir(searches.mated[searches.with_mate], threshold))


def true_pairs_at(lists: OtherLists, matched_scores: np.ndarray, rate: float) -> float | str:
    """Share of pairs of query and match that score at or above the threshold of a rate of false pairs (ROC).

    A false pair is a query with an image that is no match; all of them are counted in the rate, listed or not.

    Args:
        lists: The best others of every query.
        matched_scores: (M,) score of every pair of query and match.
        rate: False pairs accepted, as a share of all false pairs.

    Returns:
        The share of true pairs, or why it is not known.
    """
    pairs = int(lists.others.sum())
    if allowed(pairs, rate) < 1:
        return f"a rate of {rate:g} needs {math.ceil(1 / rate):,} false pairs; there are {pairs:,}"
    falling = np.sort(lists.step)[::-1]
    most = allowed(pairs, rate)
    needed = float(falling[most]) if most < len(falling) else -math.inf
    short = lists.reach[lists.others > 0].max()
    if needed < short:
        reached = int((falling > short).sum()) / pairs
        return (
            f"the lists end above it: they are exact up to a rate of {reached:.2g}; search again with a larger --top-k"
        )
    if most >= len(falling):
        return 1.0
    return 1 - fnir(matched_scores, just_above(needed))
