"""Makes a checkpoint file of the zoo from its description."""

from __future__ import annotations

import collections
import hashlib
import importlib
import json
import math
import re
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
CASES = HERE / "cases"
_EMBEDDINGS = (
    "pos_embed", "cls_token", "positional_embedding", "class_embedding", "sie_embed", "part_token",
    "register", "reg_token", "mask_token",
)  # fmt: skip


def names() -> list[str]:
    """Returns the names of all cases."""
    return sorted(path.stem for path in CASES.glob("*.json"))


@cache
def description(name: str) -> dict[str, Any]:
    """Returns what a case says of its file and its test."""
    found: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text("utf-8"))
    return found


def expected(name: str) -> dict[str, np.ndarray]:
    """Returns the unit feature of each photograph by its key, as the project's own code computed it."""
    with np.load(CASES / f"{name}.npz") as stored:
        return {str(key): row.astype(np.float64) for key, row in zip(stored["keys"], stored["features"], strict=True)}


def write_checkpoint(name: str, folder: Path) -> Path:
    """Writes a case's checkpoint, and the small files that its project saves beside it; returns its path."""
    case = description(name)
    with np.load(CASES / f"{name}.npz") as stored:
        given = {key.removeprefix("stats/"): stored[key] for key in stored.files if key.startswith("stats/")}
    path = folder / case["file"]
    torch.save(_Builder(given, case.get("scale") or {}).build(case["structure"]), path)
    for file, text in case.get("beside", {}).items():
        (folder / file).write_text(text, "utf-8")
    return path


def formula(name: str, shape: tuple[int, ...], scale: dict[str, float]) -> np.ndarray:
    """Returns the float32 values of a tensor, which its name alone gives."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(math.prod(shape)) >> np.uint64(11)
    uniform = raw.astype(np.float64) * 2.0**-53
    spread = 2 * uniform - 1
    if any(part in name for part in _EMBEDDINGS) or (len(shape) == 3 and shape[0] == 1):
        values = spread * 0.5
    elif len(shape) >= 2:
        values = spread * (math.sqrt(3.0) * math.sqrt(2.0 / max(1, math.prod(shape[1:]))))
    elif name.rpartition(".")[2] in {"weight", "gamma"}:
        values = 0.75 + 0.5 * uniform
    else:
        values = spread * 0.2
    for pattern, factor in scale.items():
        if re.search(pattern, name):
            values = values * factor
    return values.astype(np.float32).reshape(shape)


class _Builder:
    def __init__(self, given: dict[str, np.ndarray], scale: dict[str, float]) -> None:
        self._given = given
        self._scale = scale
        self._made: dict[str, torch.Tensor] = {}

    def build(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.build(item) for item in node]
        if not isinstance(node, dict):
            return node
        marks = set(node)
        if {"tensor", "shape"} <= marks:
            return self._tensor(node)
        if marks == {"tuple"}:
            return tuple(self.build(item) for item in node["tuple"])
        if marks == {"dict"}:
            return {self.build(key): self.build(value) for key, value in node["dict"]}
        if {"array", "dtype"} <= marks:
            return np.array(node["array"], node["dtype"])
        if marks == {"class"}:
            return _class(node["class"])
        if "object" in marks:
            return self._object(node)
        return {key: self.build(value) for key, value in node.items()}

    def _object(self, node: dict[str, Any]) -> Any:
        kind = node["object"]
        if kind == "collections.OrderedDict":
            return collections.OrderedDict((key, self.build(value)) for key, value in node["items"].items())
        if kind == "set":
            return {self.build(item) for item in node["items"]}
        if kind.startswith("numpy."):
            return getattr(np, kind.removeprefix("numpy."))(node["value"])
        made = object.__new__(_class(kind))
        made.__dict__.update({key: self.build(value) for key, value in node["state"].items()})
        return made

    def _tensor(self, node: dict[str, Any]) -> torch.Tensor:
        name, shape, dtype = node["tensor"], tuple(node["shape"]), getattr(torch, node["dtype"])
        if name not in self._made:
            if "value" in node:
                made = torch.tensor(node["value"], dtype=dtype).reshape(shape)
            elif name in self._given:
                made = torch.from_numpy(np.array(self._given[name])).to(dtype).reshape(shape)
            else:
                made = torch.from_numpy(formula(name, shape, self._scale)).to(dtype)
            self._made[name] = torch.nn.Parameter(made) if node.get("parameter") else made
        return self._made[name]


def _class(path: str) -> type:
    """The class of that name, or an empty one where its package is not installed."""
    module, _, name = path.rpartition(".")
    try:
        found: type = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:length]), types.ModuleType(".".join(parts[:length])))
        found = type(name, (), {"__module__": module})
        setattr(sys.modules[module], name, found)
    return found
