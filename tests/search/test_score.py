from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from sysu30k_bench.search.score import column_slices, gamma, pair_scores, product_error, tree_error
from tests.conftest import unit_rows


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 64, 384, 2048, 2049, 5000])
def test_within_its_bound_of_the_exact_sum(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    left, right = unit_rows(rng, 20, dimension), unit_rows(rng, 20, dimension)
    exact = [
        math.fsum(a * b for a, b in zip(x.astype(float).tolist(), y.astype(float).tolist(), strict=True))
        for x, y in zip(left, right, strict=True)
    ]
    norms = np.linalg.norm(left, axis=1).astype(float) * np.linalg.norm(right, axis=1)
    assert (np.abs(pair_scores(left, right) - exact) <= tree_error(dimension) * norms * 1.001).all()


def test_hand_computed_tree() -> None:
    left = np.array([[1, 2, 3, 4, 5]], np.float32)
    right = np.array([[1, 1, 1, 1, 2]], np.float32)
    assert pair_scores(left, right).tolist() == [20.0]


def test_order_of_summation_is_the_documented_one() -> None:
    rng = np.random.default_rng(0)
    left, right = unit_rows(rng, 1, 6), unit_rows(rng, 1, 6)
    p = [float(a) * float(b) for a, b in zip(left[0].astype(float), right[0].astype(float), strict=True)]
    assert pair_scores(left, right)[0] == ((p[0] + p[4]) + p[2]) + ((p[1] + p[5]) + p[3])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_bits_do_not_depend_on_how_pairs_are_grouped(dtype: str) -> None:
    rng = np.random.default_rng(1)
    left, right = unit_rows(rng, 9000, 300, dtype), unit_rows(rng, 9000, 300, dtype)
    whole = pair_scores(left, right)
    assert np.array_equal(whole[4321:4325], pair_scores(left[4321:4325], right[4321:4325]))
    assert np.array_equal(whole, pair_scores(right, left))
    assert np.array_equal(whole[::-1], pair_scores(left[::-1], right[::-1]))
    assert np.array_equal(whole, pair_scores(np.asfortranarray(left), right))


def test_products_are_exact_before_they_are_added() -> None:
    a, b = np.float32(1 + 2**-23), np.float32(1 - 2**-24)
    assert Fraction(pair_scores(np.array([[a]]), np.array([[b]]))[0]) == Fraction(float(a)) * Fraction(float(b))


def test_bounds_grow_as_the_standard_model_says() -> None:
    assert gamma(2048, 2.0**-24) == pytest.approx(1.2208e-4, rel=1e-3)
    assert product_error(2048, 2.0**-24) == gamma(2049, 2.0**-24)
    assert product_error(28_310, 2.0**-24) == gamma(2048 + 14, 2.0**-24)
    assert product_error(100, 2.0**-24) == gamma(101, 2.0**-24)


def test_column_slices_cover_every_column_once() -> None:
    slices = column_slices(28_310)
    assert slices[0] == slice(0, 2048)
    assert sum(part.stop - part.start for part in slices) == 28_310
    assert all(a.stop == b.start for a, b in itertools.pairwise(slices))
