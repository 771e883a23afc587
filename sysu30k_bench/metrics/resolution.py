"""Resolution of a test set: the smallest difference that the paired test finds, and its power."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import optimize, stats

from sysu30k_bench.words import count

POWER = 0.8
DISCORDANCES = (0.02, 0.05, 0.1, 0.2, 0.4)
SHOWN_DISCORDANCES = (0.05, 0.1, 0.2)
"""For the sentence beside a table of runs or rows."""


def mcnemar_power(n: int, discordance: float, difference: float, alpha: float = 0.05) -> float:
    """Power of the exact two-sided McNemar test (Miettinen, Biometrics 24, 1968, unconditional).

    The number D of queries that differ is binomial (n, discordance); of those, each is won with probability
    (1 + difference / discordance) / 2. The test rejects where the smaller of both numbers is at most c(D), the largest
    whose two-sided p is below `alpha`.

    Args:
        n: Queries.
        discordance: Probability that exactly one of both runs has a query at rank 1.
        difference: Of rank-1, between 0 and `discordance`.
        alpha: Level of the test.
    """
    low, high = stats.binom.ppf([1e-10, 1 - 1e-10], n, discordance)
    differing = np.arange(int(low), int(high) + 1)
    critical = _critical(differing, alpha)
    won = (1 + difference / discordance) / 2
    rejected = stats.binom.cdf(critical, differing, won) + stats.binom.cdf(critical, differing, 1 - won)
    return float(np.sum(stats.binom.pmf(differing, n, discordance) * np.where(critical >= 0, rejected, 0.0)))


@lru_cache(maxsize=256)
def smallest_difference(n: int, discordance: float, power: float = POWER, alpha: float = 0.05) -> float | None:
    """The smallest difference of rank-1 that the exact paired test finds with a given power.

    Args:
        n: Queries.
        discordance: Probability that exactly one of both runs has a query at rank 1.
        power: Chance to find it.
        alpha: Level of the test, two-sided.

    Returns:
        A fraction of the queries, or None if the power is not reached even when all differing queries go one way.
    """
    if not 0 < discordance <= 1 or n < 1 or mcnemar_power(n, discordance, discordance, alpha) < power:
        return None
    found: float = optimize.brentq(
        lambda difference: mcnemar_power(n, discordance, difference, alpha) - power, 0.0, discordance, xtol=1e-7
    )
    return found


def said(n: int, discordances: tuple[float, ...] = DISCORDANCES) -> str:
    """The smallest differences of rank-1 in a sentence, by how many queries differ."""
    least = {share: smallest_difference(n, share) for share in discordances}
    found = [
        f"{value * 100:.1f} points if {share * 100:g} % of the queries differ"
        for share, value in least.items()
        if value
    ]
    parts = [f"differences of rank-1 from {', '.join(found)}"] if found else []
    most = max((share for share, value in least.items() if not value), default=None)
    if most is not None:
        parts += [
            f"none if {most * 100:g} % or fewer differ"
            if found
            else f"no difference if {most * 100:g} % of them differ"
        ]
    return f"{count(n, 'query', 'queries')}: with 80 % power, the paired test detects {'; '.join(parts)}"


def _critical(differing: np.ndarray, alpha: float) -> np.ndarray:
    """(D,) the largest c with 2 P(X <= c) < alpha for X binomial (D, 1/2); -1 where there is none."""
    guess = np.asarray(stats.binom.ppf(alpha / 2, differing, 0.5)) + 1
    for _ in range(3):
        guess = np.where((guess >= 0) & (2 * stats.binom.cdf(guess, differing, 0.5) >= alpha), guess - 1, guess)
    return np.where(differing > 0, guess, -1)
