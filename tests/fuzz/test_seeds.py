"""Every kept seed through its reader, in a guarded process: read, or refused with a clear message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fuzz.kept import LARGEST, SEEDS

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in SEEDS.iterdir())
WHOLE_MODELS = ["onnx", "openvino", "torchexport", "torchscript", "transformers"]
ALSO_READ = {"torch_zip", "torch_legacy", "pickle", "safetensors", "shards", "hdf5", "mat", "npz", "npy", "parquet",
             "shard", "tar", "zip", "image", "names", "keys", "card", "recipe", "ranking", "top", "row"}  # fmt: skip


def replayed(names: list[str]) -> list[dict[str, str]]:
    if sys.platform != "linux":
        pytest.skip("limits and audits are Linux's here")
    words = [sys.executable, "-m", "benchmarks.fuzz.worker", json.dumps({"replay": names})]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (lines[-1:], done.stderr[-2000:])  # the last line names the input that ended it
    return [line for line in lines if "seed" in line]


def broken(verdicts: list[dict[str, str]]) -> list[dict[str, str]]:
    return [one for one in verdicts if one["outcome"] not in {"read", "refused"}]


@pytest.mark.timeout(300)
def test_no_kept_seed_breaks_a_promise() -> None:
    verdicts = replayed([name for name in NAMES if name not in WHOLE_MODELS])
    assert broken(verdicts) == []
    assert len(verdicts) == sum(len(list((SEEDS / name).iterdir())) for name in NAMES if name not in WHOLE_MODELS)
    read = {one["seed"].partition("/")[0] for one in verdicts if one["outcome"] == "read"}
    assert read >= ALSO_READ  # a reader that refuses everything keeps every promise


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WHOLE_MODELS)
def test_no_kept_whole_model_breaks_a_promise(name: str) -> None:
    verdicts = replayed([name])
    assert broken(verdicts) == []
    assert "read" in {one["outcome"] for one in verdicts}


def test_seeds_are_small() -> None:
    assert all(path.stat().st_size <= LARGEST for path in SEEDS.rglob("*") if path.is_file())
