from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, IntegrityError
from tests.conftest import unit_rows
from tests.embeddings.stores import write_store
from tests.sealing import reseal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    keys = [f"gallery/{number}.jpg" for number in range(25)]
    return write_store(tmp_path / "store", unit_rows(rng, 25, 6), keys, np.arange(25), np.ones(25, np.int64))


def test_stream_rows_and_labels_agree(folder: Path) -> None:
    store = Store.open(folder)
    whole = store.embeddings()
    assert whole.shape == (25, 6)
    assert len(store) == 25
    positions = np.array([24, 0, 7, 7, 13])
    assert np.array_equal(store.rows(positions), whole[positions])
    assert store.labels().key == [key for shard in store.shards() for key in shard.key]
    assert store.labels().person_id.tolist() == list(range(25))


def test_missing_and_unfinished(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="no embedding store"):
        Store.open(tmp_path / "nowhere")
    reseal(folder / "manifest.json", complete=False)
    with pytest.raises(DataError, match="not finished"):
        Store.open(folder)


def test_a_lost_shard_is_named(folder: Path) -> None:
    (folder / "shard-00001.h5").unlink()
    with pytest.raises(IntegrityError, match=r"shard-00001\.h5 is missing"):
        Store.open(folder).embeddings()


def test_swapped_shards_are_noticed(folder: Path) -> None:
    first, second = folder / "shard-00000.h5", folder / "shard-00001.h5"
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    with pytest.raises(IntegrityError, match="not the shard"):
        Store.open(folder).embeddings()
    with pytest.raises(IntegrityError, match="not those of the split"):
        Store.open(folder).labels()


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"shard_rows": 0},
        {"rows": "many"},
        {"shards": [{"file": "../../etc/passwd", "first": 0, "rows": 1, "content_sha256": "0" * 64}]},
        {"identity": {}},
        {"rows": 99},
        {"shard_rows": 6},
        {"rows": 10**18, "shard_rows": 1},
        {"rows": 10**9, "shard_rows": 1},
    ],
)
def test_hostile_manifests_are_refused(folder: Path, change: dict[str, object]) -> None:
    reseal(folder / "manifest.json", **change)
    with pytest.raises(IntegrityError):
        Store.open(folder)


def test_manifest_that_is_no_json(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(IntegrityError, match="not a store's manifest"):
        Store.open(folder)
