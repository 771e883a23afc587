"""FNIR, FPIR and TPIR at a threshold, the threshold of an FPIR, and the curve of all of them.

A search returns every gallery image whose score is at or above the threshold. A mated search misses where its match
scores below; a non-mated search raises a false alarm where anything is returned. Scores are compared on the grid of
1e-12 on which the search's own lists are ordered, so that scores that tie are accepted or rejected together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sysu30k_bench.search.score import TIE

FEWEST = 10
"""Non-mated searches on which an FPIR has to rest: NIST's rule of ten, a third of whose error is chance."""


class DetCurve(NamedTuple):
    """Misses against false alarms, a point for each number of false alarms that some threshold gives.

    Attributes:
        threshold: (P,) descending.
        fpir: (P,) ascending.
        fnir: (P,) descending.
    """

    threshold: np.ndarray
    fpir: np.ndarray
    fnir: np.ndarray


def grid(scores: np.ndarray) -> np.ndarray:
    """Returns scores in whole multiples of 1e-12, as float64."""
    return np.rint(np.asarray(scores, np.float64) / TIE)


def step_of(threshold: float) -> float:
    """Returns one score in whole multiples of 1e-12."""
    return float(np.rint(threshold / TIE))


def fnir(mated: np.ndarray, threshold: float) -> float:
    """False-negative identification rate without a rank limit, FNIR(N, T) (ISO/IEC 19795-1).

    Args:
        mated: (n,) score of each mated search's best match.
        threshold: T.

    Returns:
        Share of searches whose match scores below T.
    """
    return float((grid(mated) < step_of(threshold)).mean())


def fpir(other: np.ndarray, threshold: float) -> float:
    """False-positive identification rate, FPIR(N, T) (ISO/IEC 19795-1).

    Args:
        other: (n,) best score of each non-mated search.
        threshold: T.

    Returns:
        Share of searches that return at least one image.
    """
    return float((grid(other) >= step_of(threshold)).mean())


def tpir(mated: np.ndarray, found: np.ndarray, threshold: float) -> float:
    """True-positive identification rate with a rank limit, TPIR(N, R, T) = 1 - FNIR(N, R, T).

    Args:
        mated: (n,) score of each mated search's best match.
        found: (n,) probability that it stands at rank R or better under a random order of ties.
        threshold: T.

    Returns:
        Expected share of searches whose match stands at rank R or better, and scores at or above T.
    """
    return float((found * (grid(mated) >= step_of(threshold))).mean())


def allowed(searches: int, rate: float) -> int:
    """Returns how many of the searches may raise a false alarm at a rate, rounded down."""
    return math.floor(searches * rate + 1e-9)


def refusal(searches: int, rate: float) -> str | None:
    """Returns why so few non-mated searches do not determine an FPIR; None if they do."""
    if allowed(searches, rate) >= FEWEST:
        return None
    needed = math.ceil(FEWEST / rate - 1e-9)
    return (
        f"FPIR {rate * 100:g} % needs {needed:,} non-mated searches, so that {FEWEST} of them set the threshold; "
        f"there are {searches:,}"
    )


def threshold_at(other: np.ndarray, rate: float) -> float:
    """The least threshold on the grid at which at most a share `rate` of the non-mated searches raises a false alarm.

    With k the number of false alarms allowed, it is one step of the grid above the (k + 1)-th highest score. Searches
    that tie with that score are rejected with it, so the FPIR reached is never above the limit.

    Args:
        other: (n,) best score of each non-mated search.
        rate: FPIR, above 0 and below 1.

    Raises:
        ValueError: Fewer than ten searches would set it; see `refusal`.
    """
    said = refusal(len(other), rate)
    if said is not None:
        raise ValueError(said)
    falling = np.sort(grid(other))[::-1]
    return just_above(float(falling[allowed(len(other), rate)]))


def just_above(step: float) -> float:
    """The score one step of the grid above a grid value."""
    return float(max(step + 1, np.nextafter(step, np.inf)) * TIE)


def det_curve(mated: np.ndarray, other: np.ndarray) -> DetCurve:
    """Detection error trade-off (Martin et al., Eurospeech 1997): every FPIR that some threshold gives, least first.

    Args:
        mated: (n,) score of each mated search's best match.
        other: (m,) best score of each non-mated search.

    Returns:
        One point for each distinct score of `other`, just above it, and a last one at the lowest of them.
    """
    steps, counts = np.unique(grid(other), return_counts=True)
    alarms = np.concatenate([[0], np.cumsum(counts[::-1])])
    thresholds = np.concatenate([np.maximum(steps + 1, np.nextafter(steps, np.inf))[::-1], steps[:1]])
    missed = np.searchsorted(np.sort(grid(mated)), thresholds, side="left")
    return DetCurve(thresholds * TIE, alarms / len(other), missed / len(mated))
