"""The search on a GPU: the same integers as everywhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sysu30k_bench.search.engines.choose import choose_engine
from sysu30k_bench.search.engines.engine import FilterName
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact import break_even
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.search import search
from tests.conftest import unit_rows
from tests.search.test_search import KINDS, assert_exact, market_like, sysu_like

pytestmark = pytest.mark.gpu
FILTERS: list[FilterName] = ["float32", "bf16"]


@pytest.mark.parametrize("filter_name", FILTERS)
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("protocol", [sysu_like, market_like])
def test_every_filter_on_the_gpu_equals_the_naive_rule(
    filter_name: FilterName, make: object, protocol: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(break_even, "FINEST_ROWS", 0)
    engine = TorchEngine(torch.device("cuda:0"), filter_name)
    for seed, dimension in enumerate((3, 64, 200, 2048)):
        rng = np.random.default_rng(seed)
        rel = protocol(rng, 8, 90)  # type: ignore[operator]
        queries, gallery = make(rng, 8, dimension), make(rng, 90, dimension)  # type: ignore[operator]
        for rows in (7, 1000):
            result = search(queries, ArrayGallery(gallery), rel, engine, top_k=12, block_rows=rows)
            assert_exact(result, queries, gallery, rel, 12)


@pytest.mark.parametrize("filter_name", FILTERS)
def test_gpu_and_cpu_give_the_same_integers_at_some_size(filter_name: FilterName) -> None:
    rng = np.random.default_rng(0)
    centres = unit_rows(rng, 300, 512)
    near = centres[rng.integers(0, 300, 20_000)] + 0.02 * rng.standard_normal((20_000, 512)).astype(np.float32)
    gallery = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    queries, rel = gallery[:200].copy(), sysu_like(rng, 200, 20_000)
    cpu = search(queries, ArrayGallery(gallery), rel, TorchEngine(torch.device("cpu"), "float32"), top_k=50)
    gpu = search(queries, ArrayGallery(gallery), rel, TorchEngine(torch.device("cuda:0"), filter_name), top_k=50)
    for name in ("above", "tied", "top_position", "top_score", "match_score"):
        assert np.array_equal(getattr(cpu, name), getattr(gpu, name)), name


def test_the_default_engine_is_the_gpus() -> None:
    engine, reason = choose_engine("auto", torch.device("cuda:0"))
    assert "cuda" in engine.description.lower() or "gpu" in engine.description.lower(), (engine.description, reason)
