from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import pytest
import torch

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.engines.faiss_engine import FaissEngine
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact import break_even
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.graph import neighbours
from sysu30k_bench.search.graph.both_sides import BothSides
from sysu30k_bench.search.graph.graph_file import write_state
from sysu30k_bench.search.graph.neighbours import GraphPlan, make_graph
from sysu30k_bench.search.score import TIE
from tests.conftest import unit_rows
from tests.embeddings.stores import write_store
from tests.search.oracle import all_scores

ROWS, WIDTH = 50, 12
PLAN = GraphPlan(k=6, memory=10**8, part_rows=16)


def engine() -> TorchEngine:
    return TorchEngine(torch.device("cpu"))


@pytest.fixture
def rows() -> np.ndarray:
    rows = unit_rows(np.random.default_rng(8), ROWS, WIDTH)
    rows[7] = rows[3]
    rows[20:24] = rows[40]
    return rows


@pytest.fixture
def store(rows: np.ndarray, tmp_path: Path) -> Store:
    keys = [f"g{number}" for number in range(ROWS)]
    ones = np.ones(ROWS, np.int64)
    return Store.open(write_store(tmp_path / "store", rows, keys, ones, ones))


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with h5py.File(path) as file:
        return file["position"][:], file["score"][:]


def naive(rows: np.ndarray, k: int) -> list[list[int]]:
    cell = np.rint(all_scores(rows, rows) / TIE)
    others = [[other for other in range(len(rows)) if other != row] for row in range(len(rows))]
    return [sorted(others[row], key=lambda other: (-cell[row, other], other))[:k] for row in range(len(rows))]


def test_graph_equals_the_naive_rule(store: Store, rows: np.ndarray, tmp_path: Path) -> None:
    position, score = read(make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()))
    assert position.tolist() == naive(rows, 6)
    exact = np.take_along_axis(all_scores(rows, rows), position, axis=1)
    assert np.array_equal(score, exact)
    assert {path.name for path in tmp_path.iterdir()} == {"store", "neighbours.h5"}


def test_fewer_others_than_asked_for(store: Store, rows: np.ndarray, tmp_path: Path) -> None:
    plan = GraphPlan(k=60, memory=10**8, part_rows=32)
    position, score = read(make_graph(store, tmp_path, engine(), plan, Silent(), Ranks()))
    assert (position[:, 49:] == -1).all()
    assert np.isneginf(score[:, 49:]).all()
    assert [row[:49] for row in position.tolist()] == naive(rows, 60)


class Stopping(BothSides):
    """Notes the parts that are searched, and interrupts before one of them."""

    passes: ClassVar[list[int]] = []
    before: ClassVar[int | None] = None

    def search(self, part: np.ndarray, first: int, advance: Callable[[int], None]) -> None:
        self.passes.append(first)
        if first == self.before:
            type(self).before = None
            raise KeyboardInterrupt
        super().search(part, first, advance)


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> type[Stopping]:
    """State after every part, as after minutes; interrupted before the third."""
    monkeypatch.setattr(neighbours, "KEEP_SECONDS", 0)
    monkeypatch.setattr(neighbours, "BothSides", Stopping)
    monkeypatch.setattr(Stopping, "passes", [])
    monkeypatch.setattr(Stopping, "before", 32)
    return Stopping


def test_an_interrupted_graph_goes_on_and_ends_the_same(
    store: Store, rows: np.ndarray, tmp_path: Path, stopping: type[Stopping]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    assert len(list(tmp_path.glob("neighbours-*.npz"))) == 1
    position, score = read(make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()))
    assert stopping.passes == [0, 16, 32, 32, 48]
    assert position.tolist() == naive(rows, 6)
    assert np.array_equal(score, np.take_along_axis(all_scores(rows, rows), position, axis=1))
    assert {path.name for path in tmp_path.iterdir()} == {"store", "neighbours.h5"}


def test_an_estimate_is_given_before_the_work(store: Store, tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Silent):
        def say(self, message: str) -> None:
            said.append(message)

    make_graph(store, tmp_path, engine(), PLAN, Listening(), Ranks())
    assert len(said) == 1
    assert said[0].startswith("neighbours: less than a minute")


def test_a_damaged_shard_stops_it(store: Store, tmp_path: Path) -> None:
    path = store.folder / "shard-00003.h5"
    content = bytearray(path.read_bytes())
    place = content.find(store._read(store.manifest.shards[3]).embedding.tobytes())
    content[place + 5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="changed or damaged"):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())


@pytest.mark.parametrize("change", ["rows", "k", "type", "cut", "flip", "unsealed", "garbage", "folder"])
def test_a_state_that_does_not_fit_is_not_taken(
    store: Store, rows: np.ndarray, tmp_path: Path, stopping: type[Stopping], change: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    [path] = tmp_path.glob("neighbours-*.npz")
    whole, other = path.read_bytes(), TopK(ROWS, 6)
    if change in {"rows", "k"}:
        write_state(path, 2, TopK(*{"rows": (49, 6), "k": (ROWS, 7)}[change]))
    elif change == "type":
        other.position = other.position.astype(np.int32)
        write_state(path, 2, other)
    elif change == "unsealed":
        np.savez(path, done=2, **{"position-0": other.position, "score-0": other.score})
    elif change == "folder":
        path.unlink()
        path.mkdir()
        with pytest.raises(DataError, match="cannot write"):
            make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
        path.rmdir()
    else:
        flipped = whole[:-300] + bytes([whole[-300] ^ 4]) + whole[-299:]  # in the directory of the archive
        path.write_bytes({"cut": whole[:-40], "flip": flipped, "garbage": b"PK" * 50}[change])
    position, _ = read(make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()))
    assert stopping.passes[3:][-4:] == [0, 16, 32, 48]
    assert position.tolist() == naive(rows, 6)


def test_parts_are_dealt_out_there_and_back() -> None:
    shares = [neighbours._share(list(range(0, 130, 10)), Ranks(rank, 3)) for rank in range(3)]
    assert shares == [[0, 50, 60, 110, 120], [10, 40, 70, 100], [20, 30, 80, 90]]


@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_the_parts_and_give_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    alone = make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()).read_bytes()
    (tmp_path / "neighbours.h5").unlink()
    monkeypatch.setattr(Ranks, "gather", lambda _, value: [value])
    for rank in reversed(range(count)):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks(rank, count))
    assert (tmp_path / "neighbours.h5").read_bytes() == alone
    (tmp_path / "neighbours.h5").unlink()
    with pytest.raises(IntegrityError, match="missing or damaged"):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks(0, count))
    assert not (tmp_path / "neighbours.h5").exists()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("filtered", ["float32", "bf16", "int8", "faiss"])
def test_any_filter_and_any_blocks_give_the_naive_graph(
    monkeypatch: pytest.MonkeyPatch, filtered: str, seed: int
) -> None:
    monkeypatch.setattr(break_even, "FINEST_ROWS", 0)  # the coarse filter decides from the first block on
    rng = np.random.default_rng([seed, 5])
    count, k, part, block = (int(rng.integers(*ends)) for ends in ((2, 300), (1, 12), (1, 90), (1, 64)))
    rows = unit_rows(rng, count, 33)
    rows[rng.integers(0, count, count // 3)] = rows[rng.integers(0, count, count // 3)]
    asked = FaissEngine() if filtered == "faiss" else TorchEngine(torch.device("cpu"), filtered)  # type: ignore[arg-type]
    for fast in (False, True):
        top = TopK(count, k)
        sides = BothSides(ArrayGallery(rows), asked, top, block_rows=block, unit_tolerance=1e-3, fast=fast)
        for first in range(0, count, part):
            sides.search(rows[first : first + part], first, lambda _: None)
        wanted = naive(rows, k)
        assert [[one for one in line if one >= 0] for line in top.position.tolist()] == wanted


def test_a_whole_graph_stands_and_a_damaged_one_is_made_anew(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    whole = path.read_bytes()
    monkeypatch.setattr(neighbours, "BothSides", None)  # nothing is searched
    assert make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()).read_bytes() == whole
    monkeypatch.undo()
    rng = np.random.default_rng(2)
    for place in [*rng.choice(len(whole), 6, replace=False).tolist(), -1, None]:
        damaged = bytearray(whole if place is not None else whole[:-100])
        if place is not None:
            damaged[place] ^= 1
        path.write_bytes(bytes(damaged))
        assert make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()).read_bytes() == whole
    other = GraphPlan(k=3, memory=10**8, part_rows=16)
    assert read(make_graph(store, tmp_path, engine(), other, Silent(), Ranks()))[0].shape == (ROWS, 3)


def test_a_folder_in_the_place_of_the_graph_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "neighbours.h5").mkdir()
    (tmp_path / "neighbours-of-mine.npz").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*neighbours\.h5"):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    assert not list(tmp_path.glob(".*partial"))
    (tmp_path / "neighbours.h5").rmdir()
    assert make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()).is_file()


def test_parts_shrink_with_the_width() -> None:
    assert neighbours.part_rows_for(2048) == 8192
    assert neighbours.part_rows_for(28_310) * 28_310 * 4 <= 128 << 20
