"""`eval` on a GPU: what the CPU gives, to rounding, and the same bytes when it is repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sysu30k_bench.embeddings.store import Store
from tests.conftest import Outcome

pytestmark = pytest.mark.gpu
Bench = Callable[..., Outcome]


def embeddings(run: Path) -> np.ndarray:
    return np.concatenate([Store.open(run / "embeddings" / role).embeddings() for role in ("query", "gallery")])


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory, resnet50_state: dict[str, torch.Tensor]) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(resnet50_state, path)
    return path


def test_embeddings_of_gpu_and_cpu_agree(bench: Bench, twin: Path, resnet: Path, tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        done = bench("eval", resnet, "--data", twin, "--device", device, "--output", tmp_path / device, fresh=True)
        assert done.code == 0, done.err
    cpu, gpu = embeddings(tmp_path / "cpu"), embeddings(tmp_path / "cuda")
    assert (cpu * gpu).sum(axis=1).min() > 1 - 1e-5


def test_the_same_command_on_a_gpu_gives_the_same_bytes(bench: Bench, twin: Path, resnet: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done = bench("eval", resnet, "--data", twin, "--device", "cuda", "--output", tmp_path / name, fresh=True)
        assert done.code == 0, done.err
    assert np.array_equal(embeddings(tmp_path / "one"), embeddings(tmp_path / "two"))
    assert (tmp_path / "one" / "ranking.csv").read_bytes() == (tmp_path / "two" / "ranking.csv").read_bytes()


def test_embeddings_of_a_gpu_are_not_mixed_with_those_of_a_cpu(
    bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    words = ["eval", stripes_checkpoint, "--data", twin, "--output", tmp_path / "run"]
    assert bench(*words, "--device", "cuda", fresh=True).code == 0
    refused = bench(*words, "--device", "cpu", fresh=True)
    assert refused.code == 2
    assert "embeddings of another model or data set" in refused.err


def test_a_large_batch_halves_itself_or_says_what_to_do(bench: Bench, twin: Path, resnet: Path, tmp_path: Path) -> None:
    done = bench(
        "eval", resnet, "--data", twin, "--device", "cuda", "--batch-size", 4096, "--output", tmp_path, fresh=True
    )
    assert done.code == 0 or "lower --batch-size" in done.err
