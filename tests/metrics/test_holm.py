"""Holm's correction, beside statsmodels' and values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sysu30k_bench.metrics.holm import holm


def test_three_tests_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_random_p_values_with_ties_are_corrected_as_by_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(4)
    for _ in range(40):
        given = np.round(rng.random(rng.integers(1, 30)) ** 3, int(rng.integers(1, 4)))
        assert holm(given.tolist()) == pytest.approx(multipletests(given, method="holm")[1])
