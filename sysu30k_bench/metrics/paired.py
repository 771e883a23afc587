"""Lower bounds of paired differences between proportions."""

from __future__ import annotations

import math

from scipy import optimize, stats


def lowest_difference(won: float, lost: float, n: int, alpha: float) -> float:
    """One-sided lower bound of a paired difference of proportions, by Tango's score test (Statist. Med., 1998).

    It is valid for few differing pairs, or none; the bootstrap interval of no differences would have no width.

    Args:
        won: Pairs that only the second has; fractions where pairs differ by less than a whole, whose spread is then
            taken for larger than it is.
        lost: Pairs that only the first has.
        n: Pairs, at least 1.
        alpha: Chance that the real difference (second less first) is lower.

    Returns:
        A fraction, from -1 to (won - lost) / n.
    """
    quantile = float(stats.norm.ppf(1 - alpha))
    observed = (won - lost) / n

    def excess(difference: float) -> float:
        """The score statistic of a hypothesised difference, less its critical value."""
        linear = -won - lost + (2 * n - won + lost) * difference
        constant = -lost * difference * (1 - difference)
        share = (math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
        spread = n * (2 * share + difference * (1 - difference))
        return (won - lost - n * difference) / math.sqrt(max(spread, 1e-300)) - quantile

    lowest, highest = -1 + 1e-12, observed - 1e-12
    if highest <= lowest or excess(lowest) <= 0:
        return -1.0
    return float(optimize.brentq(excess, lowest, highest, xtol=1e-12))
