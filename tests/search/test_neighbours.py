from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.graph import neighbours
from sysu30k_bench.search.graph.graph_file import write_part
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


def test_an_interrupted_graph_goes_on_and_ends_the_same(
    store: Store, rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    whole = neighbours._neighbours

    def stopping(*args: object) -> tuple[np.ndarray, np.ndarray]:
        passes.append(int(args[1]))  # type: ignore[call-overload]
        if passes == [0, 16, 32]:
            raise KeyboardInterrupt
        return whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(neighbours, "_neighbours", stopping)
    with pytest.raises(KeyboardInterrupt):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    parts = sorted(tmp_path.glob("neighbours-*.npz"))
    assert len(parts) == 2
    parts[0].write_bytes(parts[0].read_bytes()[:50])
    position, _ = read(make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks()))
    assert passes == [0, 16, 32, 0, 32, 48]
    assert position.tolist() == naive(rows, 6)


def test_an_estimate_is_given_before_the_work(store: Store, tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Silent):
        def say(self, message: str) -> None:
            said.append(message)

    make_graph(store, tmp_path, engine(), PLAN, Listening(), Ranks())
    assert len(said) == 1
    assert said[0].startswith("neighbours: at most about 1 min")


def test_a_damaged_shard_stops_it(store: Store, tmp_path: Path) -> None:
    path = store.folder / "shard-00003.h5"
    content = bytearray(path.read_bytes())
    place = content.find(store._read(store.manifest.shards[3]).embedding.tobytes())
    content[place + 5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="changed or damaged"):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())


def test_a_part_that_vanished_stops_the_joining(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joining = neighbours.join_parts

    def after_a_loss(*args: object) -> None:
        next(tmp_path.glob("neighbours-*.npz")).unlink()
        joining(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(neighbours, "join_parts", after_a_loss)
    with pytest.raises(IntegrityError, match="missing or damaged"):
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    assert not (tmp_path / "neighbours.h5").exists()


@pytest.mark.parametrize("change", ["rows", "k", "cut", "flip", "unsealed", "garbage", "folder"])
def test_a_part_that_does_not_fit_is_made_anew(
    store: Store, rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(neighbours, "join_parts", lambda *_: None)
        make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    path = sorted(tmp_path.glob("neighbours-*.npz"))[1]
    whole, shape = path.read_bytes(), {"rows": (15, 6), "k": (16, 7)}
    if change in shape:
        write_part(path, np.zeros(shape[change], np.int64), np.zeros(shape[change]))
    elif change == "unsealed":
        np.savez(path, position=np.zeros((16, 6), np.int64), score=np.zeros((16, 6)))
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
    assert position.tolist() == naive(rows, 6)


def test_a_whole_graph_stands_and_a_damaged_one_is_made_anew(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_graph(store, tmp_path, engine(), PLAN, Silent(), Ranks())
    whole = path.read_bytes()
    monkeypatch.setattr(neighbours, "_neighbours", None)  # nothing is searched
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
