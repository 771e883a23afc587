"""The compiled loops against plain numpy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.score import TIE, pair_scores
from tests.conftest import unit_rows


def rows_of(kind: str, count: int, dimension: int) -> np.ndarray:
    rng = np.random.default_rng([count, dimension])
    rows = unit_rows(rng, count, dimension)
    if kind == "spiky":
        rows[:, 0] = 50
    if kind == "tiny":
        rows *= np.float32(1e-36)
    if kind == "huge":
        rows *= np.float32(1e18)
    if kind == "midpoints":
        rows = (rng.choice([-1, 1], rows.shape) * (1 + 2.0**-8) * 2.0 ** rng.integers(-9, 3, rows.shape)).astype("f4")
    return rows


KINDS = ["unit", "spiky", "tiny", "huge", "midpoints"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 130), (9, 2049)])
def test_eight_bits_and_what_they_lose(kind: str, shape: tuple[int, int]) -> None:
    rows = rows_of(kind, *shape)
    codes, scales, residuals, norms = compiled.encode_int8(rows)
    np.testing.assert_allclose(norms, np.linalg.norm(rows.astype(np.float64), axis=1), rtol=1e-12)
    assert np.abs(codes.astype(int)).max() <= 127
    lost = rows.astype(np.float64) - scales.astype(np.float64)[:, None] * codes
    np.testing.assert_allclose(residuals, np.linalg.norm(lost, axis=1), rtol=1e-9, atol=1e-300)
    if kind != "tiny":
        step = np.abs(rows).max(axis=1) / 127
        assert (np.abs(lost) <= 0.5001 * step[:, None]).all()
    else:
        assert not codes.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 130)])
def test_sixteen_bits_are_rounded_to_nearest_even(kind: str, shape: tuple[int, int]) -> None:
    rows = rows_of(kind, *shape)
    codes, residuals = compiled.encode_bf16(rows)
    expected = rows.astype(ml_dtypes.bfloat16)
    assert np.array_equal(codes, expected.view(np.int16))
    lost = rows.astype(np.float64) - expected.astype(np.float64)
    np.testing.assert_allclose(residuals, np.linalg.norm(lost, axis=1), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("dimension", [1, 2, 3, 64, 100, 2048, 2049, 5000])
def test_exact_scores_are_those_of_the_definition_to_the_bit(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    queries, rows = unit_rows(rng, 5, dimension), unit_rows(rng, 30, dimension)
    query, column = rng.integers(5, size=200), rng.integers(30, size=200)
    assert np.array_equal(
        compiled.exact_scores(queries, rows, query, column), pair_scores(queries[query], rows[column])
    )


def test_norms() -> None:
    rows = rows_of("huge", 7, 300)
    np.testing.assert_allclose(compiled.norms(rows), np.linalg.norm(rows.astype(np.float64), axis=1), rtol=1e-12)
    rows[2, 3], rows[4, 1] = np.nan, np.inf
    assert np.isnan(compiled.norms(rows)[2])
    assert np.isinf(compiled.norms(rows)[4])


@pytest.mark.parametrize("width", [57, 64, 130])
@pytest.mark.parametrize("seed", range(4))
def test_open_pairs_are_all_that_lie_between_the_thresholds(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.standard_normal((9, width)), 1).astype(np.float32)
    scores[2, 5:9] = -np.inf
    query = rng.permutation(9)[:6]
    low = np.round(rng.standard_normal(6) - 0.3, 1).astype(np.float32)
    high = low + np.float32(0.4)
    own = np.array([-1, 3, 56, 0, -1, 20])
    above, offset, column = compiled.open_pairs(scores, query, high, low, own, 10**6) or pytest.fail("too many")
    for entry in range(6):
        row = scores[query[entry]].copy()
        others = np.arange(width) != own[entry]
        assert above[entry] == (others & (row > high[entry])).sum()
        wanted = np.flatnonzero(others & (row >= low[entry]) & ~(row > high[entry]))
        assert column[offset[entry] : offset[entry + 1]].tolist() == wanted.tolist()
    most = int(offset[-1])
    assert compiled.open_pairs(scores, query, high, low, own, most) is not None
    assert compiled.open_pairs(scores, query, high, low, own, most - 1) is None


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("dimension", [33, 5000])
def test_decisions_are_those_of_the_exact_scores(wide: bool, dimension: int) -> None:
    rng = np.random.default_rng(3)
    queries, rows = unit_rows(rng, 4, dimension), unit_rows(rng, 25, dimension)
    rows[10:14] = rows[2]
    exact = pair_scores(np.repeat(queries, 25, 0), np.tile(rows, (4, 1))).reshape(4, 25)
    match = exact[:, 2]
    offset, column = np.arange(5) * 25, np.tile(np.arange(25), 4)
    for error in (0.0, 1e-6, 10.0):
        above = np.zeros(4, np.int64)
        slack = np.full(4, max(error, 1e-5 if error == 0 else error))
        tied = compiled.decide(queries, rows, np.arange(4), match, slack, offset, column, above, wide=wide)
        assert above.tolist() == (exact > match[:, None] + TIE).sum(axis=1).tolist()
        assert tied.tolist() == [5] * 4


def test_scores_below_the_floor_are_left_out() -> None:
    rng = np.random.default_rng(4)
    queries, rows = unit_rows(rng, 3, 40), unit_rows(rng, 30, 40)
    query, column = np.repeat(np.arange(3), 30), np.tile(np.arange(30), 3)
    exact = pair_scores(queries[query], rows[column])
    floor, error = np.array([0.1, -1.0, 0.0]), np.full(3, 1e-5)
    found = compiled.scores_reaching(queries, rows, query, column, floor, error)
    reaching = exact >= floor[query]
    assert np.array_equal(found[reaching], exact[reaching])
    assert set(found[~reaching]) <= {-np.inf} | set(exact[~reaching])
    assert np.isneginf(found[exact < floor[query] - 2e-5]).all()


@pytest.mark.parametrize("width", [1, 57, 64, 130])
@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("negated", [False, True])
def test_reaching_pairs_are_those_of_the_turned_matrix(width: int, first: int, negated: bool) -> None:
    rng = np.random.default_rng(width)
    scores = np.round(rng.standard_normal((9, first + width)), 1).astype(np.float32)[:, first:]
    scores[3] = np.inf if negated else -np.inf
    low = np.round(rng.standard_normal(width), 1).astype(np.float32)
    low[rng.random(width) < 0.2] = np.inf  # nothing is wanted of these
    wanted = np.nonzero(low[:, None] <= (-scores.T if negated else scores.T))
    column, row = compiled.reaching_pairs(scores, low, 10**6, negated=negated) or pytest.fail("too many")
    assert column.tolist() == wanted[0].tolist()
    assert row.tolist() == wanted[1].tolist()
    assert compiled.reaching_pairs(scores, low, len(row), negated=negated) is not None
    assert not len(row) or compiled.reaching_pairs(scores, low, len(row) - 1, negated=negated) is None
