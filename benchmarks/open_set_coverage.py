"""How often the interval of FNIR at an FPIR holds the true rate: `python -m benchmarks.open_set_coverage`.

A population of queries is known exactly: the score of the best other image is normal, or Student's t with four degrees
of freedom; the match's is normal, and correlated with it by a Gaussian copula. The true threshold is the quantile of
the first, the true FNIR the share of the second below it.
"""

from __future__ import annotations

import argparse
import time
from itertools import product

import numpy as np
from scipy import stats

from sysu30k_bench.metrics.open_set.points import OperatingPoint, operating_point
from sysu30k_bench.metrics.open_set.searches import Searches

SETTINGS = ((1000, 0.01), (1000, 0.1), (316, 0.1))
RATES = (0.05, 0.3, 0.7)
SHAPES = (("t", 0.0), ("normal", 0.5))
_SCALE = 0.1


def coverage(
    queries: int,
    rate: float,
    truth: float,
    shape: str,
    correlation: float,
    repetitions: int,
    resamples: int = 200,
    seed: int = 7,
) -> tuple[float, float, float, float]:
    """Draws query sets and counts intervals.

    Args:
        queries: In each set.
        rate: FPIR.
        truth: FNIR of the population at the true threshold.
        shape: Of the best others' scores: `normal` or `t`.
        correlation: Of the copula.
        repetitions: Sets.
        resamples: Bootstrap draws for each.
        seed: Of the sets.

    Returns:
        Share of intervals that hold the truth, shares wholly above and wholly below it, and their mean width.
    """
    rng = np.random.default_rng(seed)
    quantile = stats.norm.ppf if shape == "normal" else lambda share: stats.t.ppf(share, 4)
    knots = np.linspace(0, 1, 100_001)[1:-1]
    table = quantile(knots)
    middle = float(quantile(1 - rate)) - 1.5 * float(stats.norm.ppf(truth))
    above = below = 0
    width = 0.0
    for number in range(repetitions):
        first = rng.standard_normal(queries)
        second = correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(queries)
        other = first if shape == "normal" else np.interp(stats.norm.cdf(first), knots, table)
        searches = Searches(np.arange(queries), _SCALE * (middle + 1.5 * second), _SCALE * other, {})
        found = operating_point(searches, rate, (), resamples, number)
        assert isinstance(found, OperatingPoint)
        above += found.fnir.low > truth
        below += found.fnir.high < truth
        width += found.fnir.high - found.fnir.low
    return 1 - (above + below) / repetitions, above / repetitions, below / repetitions, width / repetitions


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    repetitions = given.repetitions
    started = time.monotonic()
    print("| queries | FPIR | true FNIR | impostor score | correlation | coverage | too high | too low | mean width |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    held = []
    for (queries, rate), truth, (shape, correlation) in product(SETTINGS, RATES, SHAPES):
        shares = coverage(queries, rate, truth, shape, correlation, repetitions, seed=given.seed)
        held.append(shares[0])
        cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
        print(f"| {queries:,} | {rate:.0%} | {truth:.0%} | {shape} | {correlation:g} | {cells} |", flush=True)
    seconds = time.monotonic() - started
    print(f"\nmean coverage {100 * np.mean(held):.1f} %, {repetitions:,} sets a line, {seconds:.0f} s")


if __name__ == "__main__":
    main()
