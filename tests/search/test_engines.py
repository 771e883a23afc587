from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pytest
import torch

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.search.engines import choose, filter_trial, filters, product_trial
from sysu30k_bench.search.engines import faiss_engine as engine_faiss
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.engines.engine import Approximate, float32_error
from sysu30k_bench.search.engines.faiss_engine import FaissEngine
from sysu30k_bench.search.engines.precision import once, refuse_reduced_precision, refuse_short_sums, refuse_wrong_int8
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.exact.block import Rows, at_least, at_most
from tests.conftest import unit_rows
from tests.search.oracle import all_scores

CPU = torch.device("cpu")
OTHERWISE = ", float32 if that leaves too many pairs open"


@pytest.mark.parametrize("dimension", [8, 2048, 5000])
@pytest.mark.parametrize("name", ["float32", "bf16", "int8", "faiss"])
@pytest.mark.parametrize("scale", [1.0, 1e-15, 1e12])
def test_scores_are_within_the_bound(name: str, dimension: int, scale: float) -> None:
    engine = FaissEngine() if name == "faiss" else TorchEngine(CPU, name)  # type: ignore[arg-type]
    rng = np.random.default_rng(dimension)
    queries = (unit_rows(rng, 5, dimension) * 3 * scale).astype(np.float32)
    block = (unit_rows(rng, 40, dimension) * 7 * scale).astype(np.float32)
    block[0], block[1, 0] = queries[0], block[1].max() * 100
    known, rows = Rows(queries), Rows(block)
    engine.load_queries(queries, known.bounds)
    given = engine.scores(block, rows.bounds)
    assert given.scores.shape == (5, 40)
    assert given.scores.flags.writeable
    exact = all_scores(queries, block)
    assert (np.abs(given.scores - exact) <= given.error[:, None] + 1.01 * given.rounding * np.abs(given.scores)).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_is_unmasked(dtype: torch.dtype) -> None:
    def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return (torch.from_numpy(left).to(dtype).float() @ torch.from_numpy(right).to(dtype).float().T).numpy()

    with pytest.raises(DataError, match="full float32"):
        refuse_reduced_precision(product, "an engine")


def test_torch_engine_ignores_a_global_wish_for_less_precision() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        engine = TorchEngine(CPU)
        queries = unit_rows(np.random.default_rng(0), 64, 2048)
        bounds = Rows(queries).bounds
        engine.load_queries(queries, bounds)
        given = engine.scores(queries, bounds)
        assert np.abs(given.scores - all_scores(queries, queries)).max() < float32_error(2048)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_auto_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, reason = choose_engine("auto", CPU)
    assert (engine.name, reason) == ("faiss", "no GPU, and FAISS is installed")
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda _name: None)
    engine, reason = choose_engine("auto", CPU)
    assert (engine.name, reason) == ("torch", "no GPU, and FAISS is not installed")
    assert choose_engine("torch", CPU)[0].name == "torch"


def test_faiss_on_a_gpu_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DataError, match="sees no GPU"):
        FaissEngine(0)


class FakeGpuFaiss:
    """FAISS's GPU part as far as the engine calls it: computes on the arrays that the pointers stand for."""

    __version__, METRIC_INNER_PRODUCT, DistanceDataType_F32 = "fake", 0, 1

    def __init__(self) -> None:
        self.at: dict[int, np.ndarray] = {}
        self.queries_from: list[str] = []

    class GpuDistanceParams: ...

    class StandardGpuResources: ...

    def get_num_gpus(self) -> int:
        return 2

    def swig_ptr(self, array: np.ndarray) -> tuple[str, np.ndarray]:
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        return "host", array

    def cast_integer_to_float_ptr(self, address: int) -> tuple[str, np.ndarray]:
        return "device", self.at[address]

    def bfKnn(self, _resources: object, args: Any) -> None:  # noqa: N802
        place, queries = args.queries
        block, out = args.vectors[1], args.outDistances[1]
        assert (args.k, args.metric, args.device) == (-1, 0, 1)
        assert args.queryType == args.vectorType == 1
        assert args.queriesRowMajor is args.vectorsRowMajor is True
        assert (args.numQueries, args.numVectors, args.dims) == (len(queries), *block.shape)
        self.queries_from.append(place)
        out[:] = queries @ block.T


def test_faiss_on_a_gpu_is_given_the_queries_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, uploads = FakeGpuFaiss(), []

    def upload(part: np.ndarray, gpu: int) -> torch.Tensor:
        uploads.append((part.shape, gpu))
        there = torch.from_numpy(part)
        fake.at[there.data_ptr()] = part
        return there

    monkeypatch.setattr(engine_faiss, "import_faiss", lambda: fake)
    monkeypatch.setattr(engine_faiss, "_upload", upload)
    engine = FaissEngine(1)
    queries, block = (unit_rows(np.random.default_rng(seed), 6 * seed, 3000) for seed in (1, 2))
    engine.load_queries(queries, Rows(queries).bounds)
    fake.queries_from.clear()
    for _ in range(3):
        given = engine.scores(block, Rows(block).bounds)
        assert np.abs(given.scores - all_scores(queries, block)).max() <= float32_error(3000)
    assert uploads == [((6, 2048), 1), ((6, 952), 1)]
    assert fake.queries_from == ["device"] * 6


@pytest.mark.parametrize("name", ["cuda:99", "cuda"])
def test_missing_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DataError, match="no device"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "tpu:0", "meta", ""])
def test_wrong_device(name: str) -> None:
    with pytest.raises(UsageError, match="not auto, cpu or cuda"):
        choose_device(name)


def test_bounds_are_rounded_outwards() -> None:
    values = np.random.default_rng(0).standard_normal(10_000)
    assert (at_most(values).astype(np.float64) <= values).all()
    assert (at_least(values).astype(np.float64) >= values).all()
    assert at_most(np.array([0.5, -np.inf])).tolist() == [0.5, -np.inf]


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["torch", "faiss"])
def test_engines_on_the_gpu_are_within_the_bound(name: str) -> None:
    engine, _ = choose_engine(name, torch.device("cuda:0"))  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    queries, block = unit_rows(rng, 100, 2048), unit_rows(rng, 5000, 2048)
    engine.load_queries(queries, Rows(queries).bounds)
    given = engine.scores(block, Rows(block).bounds)
    assert np.abs(given.scores - all_scores(queries, block)).max() <= float32_error(2048)


def test_sums_in_few_bits_are_unmasked() -> None:
    def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        total = np.zeros((len(left), len(right)), np.float32)
        for start in range(0, left.shape[1], 256):
            part = torch.from_numpy(left[:, start : start + 256] @ right[:, start : start + 256].T)
            total = (torch.from_numpy(total).bfloat16() + part.bfloat16()).float().numpy()
        return total

    refuse_short_sums(lambda left, right: left @ right.T, "an engine")
    with pytest.raises(DataError, match="in float32"):
        refuse_short_sums(product, "an engine")


def test_saturating_eight_bit_products_are_unmasked() -> None:
    def saturating(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        pairs = left.astype(np.int32)[:, None, :] * right.astype(np.int32)[None, :64]
        return np.clip(pairs[..., ::2] + pairs[..., 1::2], -32768, 32767).sum(axis=2)  # type: ignore[no-any-return]

    refuse_wrong_int8(lambda left, right: left.astype(np.int32) @ right.astype(np.int32).T)
    with pytest.raises(DataError, match="eight-bit"):
        refuse_wrong_int8(lambda left, right: saturating(left[:64], right))
    with pytest.raises(DataError, match="eight-bit"):
        refuse_wrong_int8(
            lambda left, right: np.clip(left.astype(np.int32) @ right.astype(np.int32).T, -(2**23), 2**23)
        )


def test_large_jobs_on_the_cpu_take_the_cheapest_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "available", lambda _device: ["bf16", "float32"])
    monkeypatch.setattr(filter_trial, "_seconds", lambda _names: {"bf16": 1.0, "float32": 4.0})
    engine, reason = choose_engine("auto", CPU, "auto", 1e12)
    assert (engine.name, reason) == ("torch", "no GPU, and this processor multiplies in bf16")
    assert engine.description.endswith(f"bf16 filter{OTHERWISE}")
    engine.load_queries(np.ones((1, 4), np.float32), np.full(1, 2.0))
    engine.fall_back()
    assert engine.description.endswith("float32 filter")
    engine.fall_back()
    assert engine.description.endswith("float32 filter")
    assert choose_engine("auto", CPU, "auto", 1e6)[0].name == "faiss"
    monkeypatch.setattr(filters, "available", lambda _device: ["float32"])
    monkeypatch.setattr(product_trial, "numpy_gain", lambda: 1.1)
    assert choose_engine("auto", CPU, "auto", 1e12)[0].name == "faiss"


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        ({"int8": 1.0, "bf16": 2.0, "float32": 4.0}, ("int8", "bf16", "float32")),
        ({"int8": 1.0, "bf16": 1.1, "float32": 4.0}, ("bf16", "float32")),  # AMX: as fast, and of smaller error
        ({"int8": 1.0, "bf16": 3.9, "float32": 4.0}, ("int8", "float32")),
        ({"int8": 3.9, "bf16": 9.0, "float32": 4.0}, ("float32",)),
    ],
)
def test_a_coarser_filter_must_be_faster_than_every_finer_one(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], kept: tuple[str, ...]
) -> None:
    monkeypatch.setattr(filters, "available", lambda _device: list(seconds))
    monkeypatch.setattr(filter_trial, "_seconds", lambda _names: seconds)
    assert filter_trial.filters_that_pay() == kept
    engine, _ = choose_engine("auto", CPU, "auto", 1e12)
    assert f"{kept[0]} filter" in engine.description or kept == ("float32",)


def test_the_trial_times_every_filter_on_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_trial, "_ROWS", 64)
    monkeypatch.setattr(filter_trial, "_QUERIES", 50)
    real = filters.BFloat16Filter.scores

    def slow(one: filters.BFloat16Filter, block: np.ndarray, norms: np.ndarray) -> Approximate:
        time.sleep(0.05)
        return real(one, block, norms)

    monkeypatch.setattr(filters.BFloat16Filter, "scores", slow)
    filter_trial._seconds.cache_clear()
    found = filter_trial._seconds(("int8", "bf16", "float32"))
    filter_trial._seconds.cache_clear()
    assert set(found) == {"int8", "bf16", "float32"}
    assert found["bf16"] > 0.05 > found["float32"] > 0


@pytest.mark.parametrize("queries", [1, 3, 40, 200])
def test_few_queries_and_many_have_the_same_scores_by_faiss(queries: int) -> None:
    """With few queries FAISS copies them in place of the block, and their scores are turned round."""
    rng = np.random.default_rng(queries)
    asked, engine = unit_rows(rng, queries, 33), FaissEngine()
    engine.load_queries(asked, Rows(asked).bounds)
    for rows in (100, 100, 7):
        block = unit_rows(rng, rows, 33)
        given = engine.scores(block, Rows(block).bounds).scores
        assert given.flags.c_contiguous
        assert np.abs(given - all_scores(asked, block)).max() < float32_error(33)


def test_large_jobs_take_numpys_product_where_faiss_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "available", lambda _device: ["float32"])
    monkeypatch.setattr(product_trial, "numpy_gain", lambda: 3.9)
    engine, reason = choose_engine("auto", CPU, "auto", 1e12)
    assert (engine.name, reason) == (
        "torch",
        "no GPU, and numpy's float32 product is 3.9 times as fast as FAISS's here",
    )
    assert engine.description.endswith("float32 filter")
    assert choose_engine("auto", CPU, "auto", 1e6)[0].name == "faiss"
    assert choose_engine("faiss", CPU, "auto", 1e12)[0].name == "faiss"


def test_the_trial_of_products_tells_a_slow_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: FaissEngine, queries: np.ndarray, block: np.ndarray) -> np.ndarray:
        time.sleep(0.5)
        return queries @ block.T

    product_trial.numpy_gain.cache_clear()
    monkeypatch.setattr(FaissEngine, "_product", slow)
    try:
        assert product_trial.numpy_gain() > product_trial.WORTH
    finally:
        product_trial.numpy_gain.cache_clear()


@pytest.mark.parametrize("dimension", [7, 2048, 2053])
def test_faiss_scores_blocks_of_any_size_in_the_memory_of_the_last(dimension: int) -> None:
    rng = np.random.default_rng(3)
    queries, engine = unit_rows(rng, 5, dimension), FaissEngine()
    engine.load_queries(queries, Rows(queries).bounds)
    for rows in (64, 64, 17, 64, 1):
        block = unit_rows(rng, rows, dimension)
        given = engine.scores(block, Rows(block).bounds)
        assert np.abs(given.scores - all_scores(queries, block)).max() < float32_error(dimension)


def test_a_filter_that_was_asked_for_is_taken() -> None:
    assert choose_engine("auto", CPU, "bf16")[0].description.endswith(
        "bf16 filter, float32 if that leaves too many pairs open"
    )
    assert choose_engine("torch", CPU, "int8", 1.0)[0].description.endswith(
        "int8 filter, float32 if that leaves too many pairs open"
    )
    with pytest.raises(UsageError, match="FAISS filters in float32"):
        choose_engine("faiss", CPU, "int8")


def test_no_compiled_loops_no_short_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "is_compiled", lambda: False)
    assert filters.available(CPU) == ["float32"]


def test_more_dimensions_than_32_bits_can_sum_are_not_scored_in_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 127**2 * filters.LARGEST_INT8_DIMENSION < 2**31 <= 127**2 * (filters.LARGEST_INT8_DIMENSION + 1)
    wide = np.ones((1, filters.LARGEST_INT8_DIMENSION + 1), np.float32)
    with pytest.raises(DataError, match="at most 133,144 dimensions"):
        TorchEngine(CPU, "int8").load_queries(wide, np.full(1, 400.0))
    monkeypatch.setattr(filters, "available", lambda _device: ["int8", "float32"])
    monkeypatch.setattr(filter_trial, "_seconds", lambda _names: {"int8": 1.0, "float32": 4.0})
    engine = TorchEngine(CPU, "auto")
    engine.load_queries(wide, np.full(1, 400.0))
    assert engine.description.endswith("float32 filter")


def test_a_numba_that_does_not_fit_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled.is_compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "sysu30k_bench.search.exact.kernels", None)
    try:
        assert not compiled.is_compiled()
        assert filters.available(CPU) == ["float32"]
    finally:
        compiled.is_compiled.cache_clear()


def test_a_self_test_runs_once_unless_it_fails() -> None:
    runs: list[bool] = []

    def test() -> None:
        runs.append(True)
        if len(runs) == 1:
            raise DataError("wrong at first")

    with pytest.raises(DataError):
        once("a product of this test", test)
    once("a product of this test", test)
    once("a product of this test", test)
    assert len(runs) == 2
