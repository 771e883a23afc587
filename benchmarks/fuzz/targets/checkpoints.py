"""Checkpoints in every format that is read, as `adapters which` and `eval` read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.fuzz.mutate import bytewise, linewise, stepwise, zipwise
from benchmarks.fuzz.target import Target, Violation, as_file, as_folder
from sysu30k_bench.models.formats.checkpoint import CheckpointFile, digest_caution, read_checkpoint
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.pickles.tensors import Storage
from sysu30k_bench.models.formats.pickles.unfold import standins, unfold
from sysu30k_bench.models.matching.which import require_weights_file

_PLAIN = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool, type(None),
          torch.Tensor, torch.dtype, np.ndarray, np.generic, StandIn, Global, Storage)  # fmt: skip
_EXPANSION = 64
_REPEATED = 1 << 28
"""Bytes that strides of 0 may claim, which take no memory until they are copied."""


def _read(path: Path) -> object:
    require_weights_file(path)
    checkpoint = read_checkpoint(path)
    _require_plain(checkpoint.content, sum(file.stat().st_size for file in _files(path)))
    _use(checkpoint)
    return checkpoint


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _use(checkpoint: CheckpointFile) -> None:
    flat = checkpoint.flat
    flat.groups()
    str(checkpoint.architecture)
    digest_caution(checkpoint)
    for tensor in flat.tensors.values():
        if tensor.numel() and tensor.numel() < 1 << 20:
            tensor.flatten()[-1].clone()  # a storage that is too short ends the process here
    for one in standins(unfold(checkpoint.content)):
        str(one)


def _require_plain(content: object, size: int) -> None:
    seen: set[int] = set()
    waiting: list[object] = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if not isinstance(value, _PLAIN):
            raise Violation(f"a {type(value)} was built")
        if isinstance(value, np.ndarray) and value.nbytes > _EXPANSION * size + 4096:
            raise Violation(f"an array of {value.nbytes:,} bytes was made of {size:,}")
        if isinstance(value, torch.Tensor) and value.untyped_storage().nbytes() > _EXPANSION * size + _REPEATED:
            raise Violation("a tensor far larger than its file")
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting += value
        elif isinstance(value, StandIn):
            waiting += [value.args, value.states, value.items, value.appended]


TARGETS = (
    Target("torch_zip", _read, as_file("model.pth"), zipwise(stepwise)),
    Target("torch_legacy", _read, as_file("model.pth"), stepwise),
    Target("pickle", _read, as_file("model.pkl"), stepwise),
    Target("safetensors", _read, as_file("model.safetensors"), linewise),
    Target("shards", _read, as_folder, linewise),
    Target("foreign", _read, as_file("model.bin"), bytewise),
)
