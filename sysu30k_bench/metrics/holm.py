"""Holm's correction of p-values for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values so that the chance of any false rejection among all tests stays below the level.

    Not statsmodels' `multipletests`, which collects Python's garbage at every call: seconds where much is in memory.

    Args:
        p_values: Of T tests, each in [0, 1].

    Returns:
        The T corrected p-values in the same order: the i-th smallest of them, from 0, is the largest p_j (T - j) of all
        j <= i, at most 1 (S. Holm, "A simple sequentially rejective multiple test procedure", 1979).
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = given[order] * np.arange(len(given), 0, -1)
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in corrected]
