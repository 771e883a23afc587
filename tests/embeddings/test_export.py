from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.embeddings.export import ExportReport, ExportSettings, SplitJob, default_shard_rows, export_split
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.networks.colour_stripes import ColourStripes
from sysu30k_bench.progress import Silent

INPUT = Input(height=32, width=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Talker(Silent):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.done = 0

    def say(self, message: str) -> None:
        self.heard.append(message)

    def advance(self, count: int) -> None:
        self.done += count


def run(
    root: Path,
    folder: Path,
    *,
    trunk: torch.nn.Module | None = None,
    progress: Any = None,
    shard_rows: int = 5,
    **identity: Any,
) -> ExportReport:
    test_set = open_test_set(root)
    embedder = Embedder(trunk or ColourStripes(), Feature(), INPUT)
    values = {
        "weights": "w",
        "card": "c",
        "adapter": "a",
        "split": test_set.gallery.fingerprint,
        "dataset": "sysu30k",
        "role": "gallery",
    }
    settings = ExportSettings(torch.device("cpu"), batch_size=3, workers=0, shard_rows=shard_rows)
    stands_for = StoreIdentity(**{**values, **identity})
    return export_split(
        SplitJob(test_set.gallery, test_set.images, embedder, folder, stands_for, settings, progress or Silent())
    )


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*")) if path.is_file()
    }


def test_store_holds_what_the_network_says_in_the_order_of_the_split(own_twin: Path, tmp_path: Path) -> None:
    report = run(own_twin, tmp_path / "s")
    assert report.images == 12
    store = Store.open(tmp_path / "s")
    test_set = open_test_set(own_twin)
    labels = store.labels()
    assert labels.key == test_set.gallery.keys
    assert labels.person_id.tolist() == test_set.gallery.person_ids.tolist()
    assert [len(shard.key) for shard in store.shards()] == [5, 5, 2]
    assert np.allclose(np.linalg.norm(store.embeddings(), axis=1), 1, atol=1e-6)


def test_running_again_makes_nothing_anew(own_twin: Path, tmp_path: Path) -> None:
    run(own_twin, tmp_path / "s")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("shard*")}
    report = run(own_twin, tmp_path / "s")
    assert (report.images, report.shards_reused) == (0, 3)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("shard*")}


@pytest.mark.parametrize("harm", ["delete", "cut", "flip", "empty", "partial left over", "other shard"])
def test_only_what_is_harmed_is_made_anew_with_the_same_bytes(own_twin: Path, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "s"
    run(own_twin, folder)
    whole = digests(folder)
    shard = folder / "shard-00001.h5"
    content = shard.read_bytes()
    if harm == "delete":
        shard.unlink()
    elif harm == "partial left over":
        shard.rename(folder / f".{shard.name}.123.partial")
    elif harm == "other shard":
        shard.write_bytes((folder / "shard-00000.h5").read_bytes())
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        flipped = flipped if harm == "flip" else content
        start = content.index(b"gallery/")
        flipped = content[:start] + b"G" + content[start + 1 :] if harm == "flip" else flipped
        shard.write_bytes({"cut": content[:middle], "flip": flipped, "empty": b""}[harm])
    talker = Talker()
    report = run(own_twin, folder, progress=talker)
    assert (report.images, report.shards_reused, talker.done) == (5, 2, 5)
    assert digests(folder) == whole
    assert bool(talker.heard) == (harm not in {"delete", "partial left over"})


@pytest.mark.parametrize(
    "other",
    [
        {"weights": "v"},
        {"card": "d"},
        {"split": "0" * 64},
        {"role": "query"},
        {"dtype": "float16"},
        {"compute": "bf16"},
        {"partial": True},
        {"versions": "2.1"},
        {"device": "cuda"},
        {"layout": "x"},
        {"code": "x"},
    ],
)
def test_the_cache_never_serves_another_identity(own_twin: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    run(own_twin, tmp_path / "s")
    before = digests(tmp_path / "s")
    with pytest.raises(UsageError, match="of another model or data set") as caught:
        run(own_twin, tmp_path / "s", **other)
    assert next(iter(other)) in caught.value.details[0]
    assert digests(tmp_path / "s") == before


def test_shards_of_another_model_are_not_taken_even_without_a_manifest(own_twin: Path, tmp_path: Path) -> None:
    run(own_twin, tmp_path / "s")
    (tmp_path / "s" / "manifest.json").unlink()
    talker = Talker()
    assert run(own_twin, tmp_path / "s", weights="v", progress=talker).images == 12
    assert len(talker.heard) == 3


def test_damaged_images_are_collected_and_retried_once_they_are_restored(own_twin: Path, tmp_path: Path) -> None:
    victim = own_twin / "sysu_test_set_all/gallery/0000others/0000others_c1_3.jpg"
    content = victim.read_bytes()
    victim.write_bytes(content[:300])
    first = run(own_twin, tmp_path / "s")
    assert list(first.damaged) == ["gallery/0000others/0000others_c1_3.jpg"]
    assert first.images == 11
    again = run(own_twin, tmp_path / "s")
    assert (again.images, again.damaged) == (0, first.damaged)
    victim.write_bytes(content)
    mended = run(own_twin, tmp_path / "s")
    assert not mended.damaged
    assert mended.images == 5
    assert Store.open(tmp_path / "s").labels().key == open_test_set(own_twin).gallery.keys


def test_a_restored_image_that_no_probe_looks_at_is_tried_again(tmp_path: Path) -> None:
    """Of equal size and beyond the sixteen that are read whole: only trying it tells that it decodes now."""
    root, folder = tmp_path / "twin", tmp_path / "s"
    write_twin(root, TwinRequest(identities=6, distractors=34, difficulty="easy"), Silent())
    test_set = open_test_set(root)
    key = test_set.gallery.keys[1]
    assert len(test_set.gallery.keys) == 40
    victim = root / "sysu_test_set_all" / key
    content = victim.read_bytes()
    victim.write_bytes(b"x" * len(content))
    assert list(run(root, folder, shard_rows=40).damaged) == [key]
    before = digests(folder)
    assert run(root, folder, shard_rows=40).images == 0
    assert digests(folder) == before
    victim.write_bytes(content)
    mended = run(root, folder, shard_rows=40)
    assert (mended.images, mended.damaged) == (40, {})
    assert Store.open(folder).labels().key == test_set.gallery.keys


@pytest.mark.parametrize("change", ["size", "content"])
def test_other_images_under_the_same_names_are_embedded_anew(own_twin: Path, tmp_path: Path, change: str) -> None:
    run(own_twin, tmp_path / "s")
    victim = own_twin / "sysu_test_set_all/gallery/0000others/0000others_c1_5.jpg"
    content = victim.read_bytes()
    other = (own_twin / "sysu_test_set_all/gallery/0000others/0000others_c1_6.jpg").read_bytes()
    victim.write_bytes(other if change == "size" else content[:-300] + bytes(300))
    talker = Talker()
    report = run(own_twin, tmp_path / "s", progress=talker)
    assert report.shards_reused == 2
    assert "were changed" in talker.heard[0]


def test_embeddings_that_are_not_finite_are_named_and_finished_shards_stay(own_twin: Path, tmp_path: Path) -> None:
    class Dies(torch.nn.Module):
        calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            Dies.calls += 1
            out = images.mean(dim=(2, 3))
            return out * float("nan") if Dies.calls > 9 else out

    with pytest.raises(IntegrityError, match="zero, NaN or infinite") as caught:
        run(own_twin, tmp_path / "s", trunk=Dies())
    assert all(key.startswith("gallery/") for key in caught.value.details)
    assert (tmp_path / "s" / "shard-00000.h5").is_file()
    with pytest.raises(DataError, match="not finished"):
        Store.open(tmp_path / "s")


def test_full_disk_is_told_and_survived(own_twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="disk is full") as caught:
        run(own_twin, tmp_path / "s")
    assert "same command resumes" in str(caught.value.hint)
    assert not list((tmp_path / "s").glob(".*partial"))
    monkeypatch.undo()
    report = run(own_twin, tmp_path / "s")
    assert report.shards_reused >= 1
    assert len(Store.open(tmp_path / "s")) == 12


def test_float16_storage(own_twin: Path, tmp_path: Path) -> None:
    run(own_twin, tmp_path / "full")
    run(own_twin, tmp_path / "half", dtype="float16")
    full, half = (Store.open(tmp_path / name).embeddings() for name in ("full", "half"))
    assert half.dtype == np.float16
    assert np.array_equal(full.astype(np.float16), half)


@pytest.mark.parametrize(
    ("dimension", "dtype", "rows"),
    [
        (2048, "float32", 8192),
        (2049, "float32", 8188),
        (28_310, "float32", 592),
        (384, "float16", 8192),
        (10**8, "float32", 16),
    ],
)
def test_shards_are_about_64_mib(dimension: int, dtype: str, rows: int) -> None:
    assert default_shard_rows(dimension, dtype) == rows
