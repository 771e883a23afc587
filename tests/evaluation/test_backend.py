"""Which backend an export takes, and that it is recorded, kept and part of the store's identity."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding import backend_step
from sysu30k_bench.evaluation.embedding.backend_step import settle_backend
from sysu30k_bench.evaluation.embedding.batch_size import fastest_batch
from sysu30k_bench.evaluation.embedding.export_step import export_step, prepare_export
from sysu30k_bench.evaluation.embedding.speed import Speed, measure_speed
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner
from sysu30k_bench.models.backends.registry import BACKENDS
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent

SIZE = Input(height=32, width=16)
CPU = torch.device("cpu")


def same(network: nn.Module, _job: Job) -> Runner:
    """A backend that is the network itself."""
    return lambda pixels: network(pixels)


def turned(network: nn.Module, _job: Job) -> Runner:
    """A backend that gives embeddings different."""
    return lambda pixels: network(pixels).flip(1)


def unable(_network: nn.Module, _job: Job) -> Runner:
    raise BackendRefusal("has control flow")


class Mean(nn.Module):
    """Three numbers an image, after a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return pixels.mean(dim=(2, 3))


def settle(root: Path, asked: Any, embedder: Embedder | None = None, **backends: Any) -> Any:
    made = embedder or Embedder(Mean(), Feature(), SIZE)
    return settle_backend(asked, made, open_test_set(root), 4, None, Ranks(), Silent(), backends=backends)


def test_a_named_backend_is_taken_or_refused_with_its_reason(own_twin: Path) -> None:
    assert settle(own_twin, "fused", fused=same).name == "fused"
    with pytest.raises(UsageError, match="--backend fused: has control flow"):
        settle(own_twin, "fused", fused=unable)
    with pytest.raises(UsageError, match="gives embeddings different"):
        settle(own_twin, "fused", fused=turned)


def test_auto_leaves_small_runs_in_eager_without_a_trial(own_twin: Path) -> None:
    def never(_network: nn.Module, _job: Job) -> Runner:
        raise AssertionError("tried")

    assert settle(own_twin, "auto", fused=never).name == "eager"


def test_auto_tries_where_the_run_is_long(own_twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_step, "FEWEST_IMAGES", 1)
    monkeypatch.setattr(backend_step, "WORTH_SECONDS", 1e-9)
    monkeypatch.setattr(backend_step, "SHARE", 1e6)
    slow = Embedder(Mean(0.02), Feature(), SIZE)

    def quick(_network: nn.Module, _job: Job) -> Runner:
        return lambda pixels: pixels.mean(dim=(2, 3))

    chosen = settle(own_twin, "auto", slow, onnxruntime=turned, fused=unable, openvino=quick)
    assert chosen.name == "openvino"
    assert "has control flow" in chosen.said
    assert "onnxruntime: cosine distance" in chosen.said
    assert slow.runner is not None


def test_the_backend_is_recorded_kept_and_part_of_the_identity(
    own_twin: Path, stripes_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "fused", same)
    run = tmp_path / "run"

    def export(backend: Any) -> Any:
        prepared = prepare_export(ExportRequest(stripes_checkpoint, own_twin, output=run, backend=backend), Ranks())
        return prepared, export_step(prepared, Silent())

    _, done = export("fused")
    assert done.notes.model.backend == "fused"
    assert json.loads((run / "export.json").read_text())["model"]["backend"] == "fused"
    prepared, again = export("auto")
    assert (prepared.backend.name, again.now.images_embedded) == ("fused", 0)
    assert "backend fused, as the run folder has it" in prepared.summary
    with pytest.raises(UsageError) as caught:
        export("eager")
    assert "backend: fused there, eager now" in caught.value.details


def test_the_default_folder_is_found_again_whatever_auto_took(own_twin: Path, stripes_checkpoint: Path) -> None:
    folders = {
        backend: prepare_export(ExportRequest(stripes_checkpoint, own_twin, backend=backend), Ranks()).folder.path  # type: ignore[arg-type]
        for backend in ("auto", "eager")
    }
    assert folders["auto"] == folders["eager"]


def test_eager_stores_keep_the_identity_that_they_had() -> None:
    values: dict[str, Any] = {
        "weights": "a", "card": "c", "adapter": "x", "split": "0" * 64, "dataset": "sysu30k", "role": "gallery"
    }  # fmt: skip
    eager, other = StoreIdentity(**values), StoreIdentity(**values, backend="openvino")
    assert eager.digest == sha256_of_text(eager.model_dump_json(exclude={"says", "backend"}))
    assert eager.digest != other.digest
    assert other.differences(eager) == ["backend: eager there, openvino now"]


@pytest.mark.parametrize(
    ("apart", "workers", "seconds"),
    [(False, 0, 100 * 0.05), (False, 2, 1 + 100 * 0.045), (True, 4, 1 + 100 * 0.04), (True, 0, 100 * 0.05)],
)
def test_time_adds_up_on_a_cpu_and_overlaps_beside_a_gpu(apart: bool, workers: int, seconds: float) -> None:
    assert Speed(0.04, 0.01, 2, apart).seconds(100, workers) == pytest.approx(seconds)
    assert Speed(0.04, 0.01, 2, apart).seconds(0, workers) == 0


def test_predicted_time_of_a_network_of_known_cost_is_within_half(own_twin: Path) -> None:
    test_set = open_test_set(own_twin)

    class Lazy(Mean):
        """Takes a second to prepare itself, as libraries do, and then 50 ms a view."""

        prepared = False

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            if not self.prepared:
                self.prepared = True
                time.sleep(1)
            return super().forward(pixels)

    embedder = Embedder(Lazy(0.05), Feature(), SIZE)
    speed = measure_speed(test_set, embedder, CPU, 6, seconds=0.3)
    assert speed is not None
    assert 6 * speed.network == pytest.approx(0.1, rel=0.5)
    # 100,000 images in batches of 6 take 1,667 s in the network, however long the first of them took
    predicted = speed.seconds(100_000, 0) - 100_000 * speed.decoding
    assert 1667 / 1.5 < predicted < 1667 * 1.5


def test_a_batch_is_doubled_while_that_pays_and_halved_where_memory_ends() -> None:
    def timed(rates: dict[int, float]) -> Any:
        def seconds(batch: int) -> float:
            if batch not in rates:
                raise torch.OutOfMemoryError("full")
            return batch / rates[batch]

        return seconds

    assert fastest_batch(timed({4: 10, 8: 15, 16: 15.5, 32: 90}), 4, 64) == 8
    assert fastest_batch(timed({4: 10, 8: 20}), 4, 64) == 8
    assert fastest_batch(timed({2: 1}), 8, 64) == 2
    assert fastest_batch(timed({4: 1, 8: 2, 16: 4}), 4, 16) == 16
