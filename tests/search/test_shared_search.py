"""A search that several processes share, and one that was interrupted, end as one that did neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.processes import Ranks
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact.saved_search import Kept
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.gallery import ArrayGallery, StoreGallery
from sysu30k_bench.search.search import SearchResult, search
from tests.conftest import Outcome, unit_rows
from tests.embeddings.stores import write_store
from tests.search.test_search import assert_exact, market_like

QUERIES, ROWS, WIDTH, K = 6, 90, 12, 8


def inputs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(31)
    queries, rows = unit_rows(rng, QUERIES, WIDTH), unit_rows(rng, ROWS, WIDTH)
    rows[50:60] = rows[10]
    return queries, rows


def shared(folder: str) -> None:
    """One of several processes: searches its shards, and writes the merged result."""
    ranks = Ranks.from_environment()
    queries, _ = inputs()
    store = Store.open(Path(folder) / "store")
    gallery = StoreGallery(store, range(ROWS), ranks)
    relevant = market_like(np.random.default_rng(5), QUERIES, ROWS)
    engine = TorchEngine(torch.device("cpu"))
    result = search(queries, gallery, relevant, engine, top_k=K, block_rows=5, ranks=ranks)
    fields = {name: getattr(result, name) for name in SearchResult.__dataclass_fields__}
    np.savez(Path(folder) / f"result-{ranks.world}-{ranks.rank}.npz", **fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    keys, ones = [f"g{number}" for number in range(ROWS)], np.ones(ROWS, np.int64)
    write_store(folder / "store", inputs()[1], keys, ones, ones)
    return folder


@pytest.mark.parametrize("world", [1, 2, 3])
def test_any_number_of_processes_gives_the_same_bytes(bench: Callable[..., Outcome], folder: Path, world: int) -> None:
    code = f"import sys; from tests.search.test_shared_search import shared; shared({str(folder)!r}); sys.exit(0)"
    done = bench(before=code, processes=world)
    assert done.code == 0, done.err
    queries, rows = inputs()
    relevant = market_like(np.random.default_rng(5), QUERIES, ROWS)
    alone = search(queries, ArrayGallery(rows), relevant, TorchEngine(torch.device("cpu")), top_k=K)
    assert_exact(alone, queries, rows, relevant, K)
    for rank in range(world):
        with np.load(folder / f"result-{world}-{rank}.npz") as result:
            for name in SearchResult.__dataclass_fields__:
                assert np.array_equal(result[name], getattr(alone, name)), (name, rank)


class Interrupted(ArrayGallery):
    """A gallery whose reading ends with Ctrl-C after some blocks, and which notes what was asked for."""

    def __init__(self, rows: np.ndarray, blocks: int) -> None:
        super().__init__(rows)
        self.left = blocks
        self.asked: list[int] = []

    def blocks(self, rows: int, done: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        for start, block in super().blocks(rows, done):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            self.asked.append(start)
            yield start, block


@pytest.mark.parametrize("after", [1, 4, 8])
def test_an_interrupted_search_goes_on_at_the_block(tmp_path: Path, after: int) -> None:
    queries, rows = inputs()
    relevant = market_like(np.random.default_rng(5), QUERIES, ROWS)
    engine, keep = TorchEngine(torch.device("cpu")), tmp_path / "kept.npz"
    first = Interrupted(rows, after)
    with pytest.raises(KeyboardInterrupt):
        search(queries, first, relevant, engine, top_k=K, block_rows=10, keep=keep, keep_every=0)
    assert keep.is_file()
    second = Interrupted(rows, 100)
    result = search(queries, second, relevant, engine, top_k=K, block_rows=7, keep=keep, keep_every=0)
    # the block in hand when the interruption came had been counted but not yet noted
    assert second.asked[0] == 10 * after
    assert second.share(10 * after) == ROWS - 10 * after
    assert_exact(result, queries, rows, relevant, K)
    assert not keep.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"hello"])
def test_a_damaged_state_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kept.npz").write_bytes(content)
    counts = np.zeros(3, np.int64)
    assert Kept(tmp_path / "kept.npz", 0).resume(counts, counts.copy(), TopK(2, 2), 50) == 0


def test_a_state_with_a_flipped_bit_is_left_alone(tmp_path: Path) -> None:
    path, counts = tmp_path / "kept.npz", np.arange(3)
    Kept(path, 0).note(5, counts, counts, TopK(2, 2))
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = np.zeros(3, np.int64)
        assert Kept(path, 0).resume(found, found.copy(), TopK(2, 2), 50) == 0, place
        assert not found.any()
    path.unlink()
    np.savez(path, done=5, above=counts, tied=counts, position=TopK(2, 2).position, score=TopK(2, 2).score)
    assert Kept(path, 0).resume(counts.copy(), counts.copy(), TopK(2, 2), 50) == 0  # as earlier versions wrote it


def test_a_state_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    kept, counts = Kept(tmp_path / "kept.npz", 0), np.ones(3, np.int64)
    kept.note(5, counts, counts, TopK(2, 2))
    other = np.zeros(4, np.int64)
    assert kept.resume(other, other.copy(), TopK(2, 2), 50) == 0
    assert kept.resume(np.zeros(3, np.int64), np.zeros(3, np.int64), TopK(2, 3), 50) == 0
    assert kept.resume(np.zeros(3, np.int64), np.zeros(3, np.int64), TopK(2, 2), 50) == 5
    kept.forget()
    assert kept.resume(counts, counts.copy(), TopK(2, 2), 50) == 0


def test_what_is_left_of_a_share(folder: Path) -> None:
    store = Store.open(folder / "store")  # shards of 7 rows
    gallery = StoreGallery(store, range(ROWS), Ranks(rank=1, world=2))
    for done in (0, 3, 7, 10, 14, 40, 89, 90):
        assert gallery.share(done) == sum(len(block) for _, block in gallery.blocks(4, done))
