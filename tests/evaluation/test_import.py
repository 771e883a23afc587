"""Features files as runs: in time that grows with their rows, and in memory that does not."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.naming.names import Labels
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES, Split
from sysu30k_bench.embeddings.features import stored
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.embeddings.write import write_store
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.evaluate import first_step, prepare
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent


def test_time_grows_with_the_rows_and_not_with_their_square(tmp_path: Path) -> None:
    """Where every row made a list of all keys, 100,000 rows took ten minutes."""
    count = 100_000
    split = Split.of("gallery", [f"gallery/{number}.jpg" for number in range(count)], [Labels(1, 1)] * count)
    rows = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    identity = StoreIdentity(
        weights="x", card="0" * 64, adapter="features", split=split.fingerprint, dataset="sysu30k", role="gallery"
    )
    order = np.arange(count)
    order[::1000] = -1
    started = time.process_time()
    write_store(tmp_path / "store", split, rows, order, identity)
    assert time.process_time() - started < 20
    found = Store.open(tmp_path / "store")
    assert len(found) == count - 100
    manifest = read_manifest(tmp_path / "store")
    assert manifest is not None
    assert sum(shard.damaged for shard in manifest.shards) == 100


def test_keys_and_fingerprint_are_made_once() -> None:
    split = Split.of("gallery", ["a", "b"], [Labels(1, 1), Labels(2, 1)])
    assert split.keys is split.keys
    assert split.take(np.array([1])).keys == ["b"]
    assert split.take(np.array([1])).fingerprint != split.fingerprint


@pytest.mark.parametrize("kind", ["npz", "npz, compressed", "npz, compressed columns"])
def test_a_file_in_any_order_and_layout_makes_the_same_stores(
    own_twin: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = open_test_set(own_twin)
    keys = [key for role in ROLES for key in lists.split(role).keys]
    rows = np.random.default_rng(0).standard_normal((len(keys), 64)).astype(np.float32)
    mixed = np.random.default_rng(1).permutation(len(keys))
    shuffled = np.asarray(rows[mixed], order="F" if "columns" in kind else "C")
    (np.savez_compressed if "compressed" in kind else np.savez)(
        tmp_path / "f.npz", embedding=shuffled, key=np.array(keys)[mixed]
    )
    monkeypatch.setattr(stored, "HELD_BYTES", 0)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 4096)
    run = tmp_path / "run"
    run.mkdir()
    (run / ".rows.1.partial").write_bytes(b"left by a killed import")
    first_step(prepare(ExportRequest(tmp_path / "f.npz", own_twin, output=run), Ranks()), Silent())
    unit = rows / np.linalg.norm(rows.astype(np.float64), axis=1)[:, None]
    at = 0
    for role in ROLES:
        count = len(lists.split(role))
        assert np.array_equal(Store.open(run / "embeddings" / role).embeddings(), unit[at : at + count].astype("f4"))
        at += count
    assert not list(run.glob("*.partial"))
    assert not list(run.glob(".*.partial"))


def test_a_folder_of_something_else_is_refused_before_anything_is_copied(
    own_twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = np.array([key for role in ROLES for key in open_test_set(own_twin).split(role).keys])
    for number in range(2):
        np.savez_compressed(tmp_path / f"{number}.npz", embedding=np.eye(len(keys)) + number, key=keys)
    run = tmp_path / "run"
    requests = [ExportRequest(tmp_path / f"{number}.npz", own_twin, output=run) for number in range(2)]
    first_step(prepare(requests[0], Ranks()), Silent())
    monkeypatch.setattr(stored, "HELD_BYTES", 0)
    monkeypatch.setattr(stored, "_copied", None)
    prepared = prepare(requests[1], Ranks())
    with pytest.raises(UsageError, match="of another model or data set"):
        first_step(prepared, Silent())
