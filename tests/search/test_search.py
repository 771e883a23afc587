from __future__ import annotations

import numpy as np
import pytest
import torch

from sysu30k_bench.data.protocol import Relevance, relevance
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.search.engines import filters
from sysu30k_bench.search.engines.choose import FilterName
from sysu30k_bench.search.engines.engine import Approximate, Engine, float32_bound
from sysu30k_bench.search.engines.faiss_engine import FaissEngine
from sysu30k_bench.search.engines.filters import BF16_UNIT
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact import block as block_module
from sysu30k_bench.search.exact import break_even as pace
from sysu30k_bench.search.gallery import ArrayGallery, StoreGallery
from sysu30k_bench.search.search import SearchResult, block_rows_for, search
from tests.conftest import unit_rows
from tests.embeddings.stores import write_store
from tests.search.oracle import all_scores, naive_search


class BoundEngine:
    """Scores that are wrong by nearly all that the bound of float32 allows, in the direction of a coin."""

    name = "bound"
    description = "as wrong as allowed"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def load_queries(self, queries: np.ndarray, norms: np.ndarray) -> None:
        self._queries, self._norms = queries, norms

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        exact = all_scores(self._queries, block)
        error = float32_bound(block.shape[1], self._norms, float(norms.max()))
        sign = self._rng.choice([-1.0, 1.0], exact.shape)
        storing = 2.0**-23 * self._norms * norms.max()
        return Approximate((exact + 0.99 * sign * error[:, None]).astype(np.float32), error + storing)

    def norms(self, block: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        return None

    def finer(self, block: np.ndarray, norms: np.ndarray) -> Approximate | None:  # noqa: ARG002
        return None

    def fall_back(self) -> None:
        pass


class CoarseEngine(BoundEngine):
    """The same with an error of a tenth, and an output rounded to bfloat16 on top."""

    def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
        exact = all_scores(self._queries, block)
        error = 0.1 * self._norms * norms.max()
        sign = self._rng.choice([-1.0, 1.0], exact.shape)
        rough = torch.from_numpy(exact + 0.999 * sign * error[:, None]).bfloat16().float().numpy()
        return Approximate(rough, error, BF16_UNIT)


FILTERS: list[FilterName] = ["float32", "bf16", "int8"]


@pytest.fixture(autouse=True, params=[0, 30])
def _filters_from_the_first_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Galleries here are small: without this they would be searched in float32 alone."""
    monkeypatch.setattr(pace, "FINEST_ROWS", request.param)


def test_the_coarse_filters_do_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for kind in (filters.Int8Filter, filters.BFloat16Filter):
        scores = kind.scores
        monkeypatch.setattr(kind, "scores", lambda self, *args, own=scores: asked.append(self.name) or own(self, *args))
    rng = np.random.default_rng(0)
    rel, queries, gallery = sysu_like(rng, 5, 90), unit_rows(rng, 5, 64), unit_rows(rng, 90, 64)
    for name in FILTERS:
        engine = TorchEngine(torch.device("cpu"), name)
        search(queries, ArrayGallery(gallery), rel, engine, top_k=5, block_rows=10, fast=True)
    assert set(asked) == {"int8", "bf16"}


def engines() -> list[Engine]:
    return [
        *(TorchEngine(torch.device("cpu"), name) for name in FILTERS),
        FaissEngine(),
        BoundEngine(0),
        CoarseEngine(1),
    ]


def clustered(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = unit_rows(rng, 4, dimension)[rng.integers(4, size=count)] + 0.02 * unit_rows(rng, count, dimension)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def relu(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = np.abs(unit_rows(rng, count, dimension)) * (rng.random((count, dimension)) < 0.5) + 1e-4
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def duplicated(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    return unit_rows(rng, 3, dimension)[rng.integers(3, size=count)]


def constant(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    return np.repeat(unit_rows(rng, 1, dimension), count, 0)


def collapsed(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = np.repeat(unit_rows(np.random.default_rng(5), 1, dimension), count, 0)
    return rows + rng.choice([0, 1, -1], rows.shape).astype(np.float32) * np.spacing(rows)


def near_ties(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = np.repeat(unit_rows(np.random.default_rng(6), 1, dimension), count, 0)
    scale = 10.0 ** rng.integers(-8, -1, (count, 1))
    return (rows + scale * rng.standard_normal(rows.shape) / np.sqrt(dimension)).astype(np.float32)


def denormal(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = unit_rows(rng, count, dimension)
    rows[:, ::2] = (rng.random(rows[:, ::2].shape) * 1e-40).astype(np.float32)
    return rows


def spiky(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """One coordinate holds nearly all, so that eight bits lose nearly all of the others."""
    rows = 1e-3 * unit_rows(rng, count, dimension)
    rows[:, 0] = 1
    return rows


def midpoints(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """Every number lies halfway between two of bfloat16, so that all roundings are as large as they can be."""
    rows = rng.choice([-1, 1], (count, dimension)) * (1 + 2.0**-8)
    rows[:, rng.random(dimension) < 0.5] = 1 + 2.0**-8
    return (rows / 2 ** np.ceil(np.log2(np.sqrt(dimension)))).astype(np.float32)


def long_rows(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """Rows that nobody has brought to unit length."""
    return unit_rows(rng, count, dimension) * (10.0 ** rng.integers(-6, 3, (count, 1))).astype(np.float32)


KINDS = [spiky, midpoints, long_rows, clustered, relu, duplicated, constant, collapsed, near_ties, denormal]


def sysu_like(rng: np.random.Generator, queries: int, gallery: int) -> Relevance:
    persons = np.concatenate([np.arange(1, queries + 1), np.full(gallery - queries, -1000)])
    order = rng.permutation(gallery)
    return relevance(np.arange(1, queries + 1), np.full(queries, 2), persons[order], np.ones(gallery, int))


def market_like(rng: np.random.Generator, queries: int, gallery: int) -> Relevance:
    persons, cameras = rng.choice([-1, 0, 1, 2, 3], gallery), rng.integers(1, 4, gallery)
    return relevance(rng.integers(1, 4, queries), rng.integers(1, 4, queries), persons, cameras)


def assert_exact(result: SearchResult, queries: np.ndarray, gallery: np.ndarray, rel: Relevance, k: int) -> None:
    assert_equal(result, naive_search(queries, gallery, rel, k), k)


def assert_equal(result: SearchResult, naive: tuple[list[tuple[int, int]], list[list[int]]], k: int) -> None:
    counts, tops = naive
    assert list(zip(result.above.tolist(), result.tied.tolist(), strict=True)) == counts
    found = [[position for position in row if position >= 0] for row in result.top_position.tolist()]
    assert found == [top[:k] for top in tops]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("protocol", [sysu_like, market_like])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_every_engine_equals_the_naive_rule(make: object, protocol: object, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dimension = int(rng.choice([3, 17, 64, 200]))
    q, g = int(rng.integers(1, 9)), int(rng.integers(20, 90))
    rel = protocol(rng, q, g)  # type: ignore[operator]
    queries, gallery = make(rng, q, dimension), make(rng, g, dimension)  # type: ignore[operator]
    naive = naive_search(queries, gallery, rel, 12)
    for engine in engines():
        for rows, k, fast in ((7, 5, True), (1000, 12, True), (1, 1, True), (7, 5, False), (1000, 12, False)):
            result = search(queries, ArrayGallery(gallery), rel, engine, top_k=k, block_rows=rows, fast=fast)
            assert_equal(result, naive, k)


@pytest.mark.parametrize("make", KINDS)
def test_the_dense_path_equals_the_naive_rule(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_module, "DENSE_PAIRS", 0)
    monkeypatch.setattr(block_module, "DENSE_SHARE", 0.0)
    monkeypatch.setattr(block_module, "COMPILED_DENSE_SHARE", 0.0)
    rng = np.random.default_rng(9)
    for protocol in (sysu_like, market_like):
        rel = protocol(rng, 6, 70)
        queries, gallery = make(rng, 6, 33), make(rng, 70, 33)  # type: ignore[operator]
        naive = naive_search(queries, gallery, rel, 9)
        for engine in engines():
            for fast in (True, False):
                result = search(queries, ArrayGallery(gallery), rel, engine, top_k=9, block_rows=32, fast=fast)
                assert_equal(result, naive, 9)


@pytest.mark.parametrize("dimension", [2048, 2049, 5000])
def test_wide_features(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    rel = sysu_like(rng, 4, 60)
    queries, gallery = near_ties(rng, 4, dimension), near_ties(rng, 60, dimension)
    for engine in engines():
        assert_exact(
            search(queries, ArrayGallery(gallery), rel, engine, top_k=10, block_rows=25), queries, gallery, rel, 10
        )


def test_float16_stores_are_scored_by_their_stored_numbers() -> None:
    rng = np.random.default_rng(2)
    rel = sysu_like(rng, 5, 50)
    queries, gallery = unit_rows(rng, 5, 40, "float16"), unit_rows(rng, 50, 40, "float16")
    for engine in engines():
        assert_exact(search(queries, ArrayGallery(gallery), rel, engine, top_k=7), queries, gallery, rel, 7)


def test_ties_at_the_edge_of_the_tolerance() -> None:
    """Scores that differ by 0.9e-12 tie and by 1.1e-12 do not, for every engine."""
    gallery = np.zeros((3, 4), np.float32)
    gallery[:, 0] = 0.5
    step = np.float32(2.0**-20)
    query = np.zeros((1, 4), np.float32)
    query[0, :2] = 0.5, step
    for difference, expected in ((0.9e-12, (0, 1)), (1.1e-12, (1, 0))):
        gallery[1, 1] = np.float32(difference / float(step))
        rel = relevance(np.array([1]), np.array([2]), np.array([1, -1000, -1000]), np.array([1, 1, 1]))
        gallery[2, 0] = 0.25
        for engine in engines():
            result = search(query, ArrayGallery(gallery), rel, engine, top_k=2)
            assert (result.above[0], result.tied[0]) == expected


def test_constant_network_ranks_by_chance_and_quickly() -> None:
    rng = np.random.default_rng(0)
    rows = constant(rng, 5000, 256)
    rel = sysu_like(rng, 200, 5000)
    result = search(rows[:200], ArrayGallery(rows), rel, TorchEngine(torch.device("cpu")), top_k=5, block_rows=1000)
    assert set(result.tied.tolist()) == {4999}
    assert not result.above.any()
    assert result.top_position.tolist() == [[0, 1, 2, 3, 4]] * 200


def test_store_gallery_equals_array_gallery(tmp_path: object) -> None:
    from sysu30k_bench.embeddings.store import Store

    rng = np.random.default_rng(4)
    rel = market_like(rng, 6, 50)
    queries, gallery = unit_rows(rng, 6, 12), unit_rows(rng, 50, 12)
    keys = [f"g{number}" for number in range(50)]
    store = Store.open(write_store(tmp_path / "s", gallery, keys, np.arange(50), np.ones(50, np.int64)))  # type: ignore[operator]
    engine = TorchEngine(torch.device("cpu"))
    plain = search(queries, ArrayGallery(gallery), rel, engine, top_k=8, block_rows=9)
    stored = search(queries, StoreGallery(store, keys), rel, engine, top_k=8, block_rows=3)
    for field in SearchResult.__dataclass_fields__:
        assert np.array_equal(getattr(plain, field), getattr(stored, field)), field


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("where", ["query", "gallery", "match"])
def test_bad_embeddings_stop_the_search_and_are_named(bad: float, where: str) -> None:
    rng = np.random.default_rng(3)
    queries, gallery = unit_rows(rng, 3, 8), unit_rows(rng, 20, 8)
    rel = relevance(np.array([1, 2, 3]), np.full(3, 2), np.array([1, 2, 3] + [-1000] * 17), np.ones(20, int))
    (queries if where == "query" else gallery)[{"query": 1, "gallery": 15, "match": 2}[where]] = bad
    with pytest.raises(IntegrityError, match="zero, NaN or infinite") as caught:
        search(queries, ArrayGallery(gallery, [f"key-{n}" for n in range(20)]), rel, engines()[0], top_k=3)
    assert caught.value.details == [{"query": "query 1", "gallery": "key-15", "match": "key-2"}[where]]


def test_widths_must_agree() -> None:
    rng = np.random.default_rng(3)
    rel = sysu_like(rng, 2, 10)
    with pytest.raises(IntegrityError, match="8 dimensions and the gallery has 9"):
        search(unit_rows(rng, 2, 8), ArrayGallery(unit_rows(rng, 10, 9)), rel, engines()[0], top_k=3)


@pytest.mark.parametrize("times", [10, 0.1, 0.99])
def test_rows_of_another_length_are_refused_where_unit_length_is_promised(times: float) -> None:
    rng = np.random.default_rng(3)
    rel = sysu_like(rng, 2, 10)
    gallery = unit_rows(rng, 10, 8)
    gallery[7] *= times
    with pytest.raises(IntegrityError, match="unit length") as caught:
        search(unit_rows(rng, 2, 8), ArrayGallery(gallery), rel, engines()[0], top_k=3, unit_tolerance=1e-3)
    assert caught.value.details == ["row 7"]


def test_block_rows_follow_the_budget() -> None:
    assert block_rows_for(2 * 10**9, 1000, 2048) == 4096
    assert 64 <= block_rows_for(50 * 10**6, 1000, 2048) < 2000
    assert block_rows_for(10**7, 10_000, 28_310) == 64
