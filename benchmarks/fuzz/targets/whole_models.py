"""Whole models: ONNX, OpenVINO, TorchScript, torch.export and transformers; loaded, and not run."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.fuzz.mutate import bytewise, linewise, stepwise, zipwise
from benchmarks.fuzz.target import Target, as_file, as_folder
from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.formats.exported import exported_card, exported_kind, load_exported

_CPU = torch.device("cpu")


def _load(path: Path) -> object:
    kind = exported_kind(path)
    if kind is None:
        raise UsageError("no whole model")
    network = load_exported(path, kind, _CPU)
    return exported_card(path, kind, network)


# torch's own reader of a graph compiles expressions of sizes with sympy, and reads plain tensors by its safe unpickler
TARGETS = (
    Target("onnx", lambda root: _load(root / "model.onnx"), as_folder, bytewise, seconds=20, growth=2048, heavy=True),
    Target(
        "openvino", lambda root: _load(root / "model.xml"), as_folder, linewise, seconds=20, growth=2048, heavy=True
    ),
    Target("torchexport", _load, as_file("model.pt2"), zipwise(linewise), seconds=20, growth=2048, heavy=True),
    Target("torchscript", _load, as_file("model.pt"), zipwise(stepwise), seconds=20, growth=2048, heavy=True),
    Target("transformers", _load, as_folder, linewise, seconds=20, growth=2048, heavy=True),
)
