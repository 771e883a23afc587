"""`torch.export` programs: a graph of operators and its weights in one archive (.pt2)."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from sysu30k_bench.errors import IntegrityError, UsageError

_MAX_CONFIG_BYTES = 64 << 20
_SAMPLES = "data/sample_inputs/"
_AGAIN = "export the model again with torch.export.save"


def is_exported_program(names: set[str]) -> bool:
    """Says whether an archive's file names, without its top folder, are those of a `torch.export` program."""
    return "archive_format" in names or "serialized_exported_program.json" in names


def load_exported_program(path: Path, device: torch.device) -> tuple[nn.Module, int | None, tuple[int, int] | None]:
    """Loads a program that `torch.export.save` wrote.

    Its weights must be plain bytes: pickled ones, which torch would load without a question, are refused here. What is
    left is a program for torch's interpreter: load only what you trust.

    Args:
        path: The archive.
        device: Where it runs.

    Returns:
        A module that maps (N, 3, H, W) to features, the batch size that it insists on or None, and its image size.

    Raises:
        IntegrityError: The archive holds pickled objects or compiled code, or was written by an older torch.
        UsageError: The program does not take one batch of images.
    """
    _refuse_what_runs_on_loading(path)
    program: Any = torch.export.load(path)
    inputs = set(program.graph_signature.user_inputs)
    shapes = [tuple(node.meta["val"].shape) for node in program.graph.nodes if node.name in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise UsageError(f"{path} takes inputs of shapes {shapes}, not one batch (N, 3, H, W) of images")
    batch, _, height, width = (item if isinstance(item, int) else None for item in shapes[0])
    if device.type != "cpu":
        program = move_to_device_pass(program, device)
    size = (height, width) if height is not None and width is not None else None
    return program.module(), batch, size


def _refuse_what_runs_on_loading(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        inside = {name.partition("/")[2]: name for name in names}
        if len(inside) != len(names) or len({name.partition("/")[0] for name in names}) != 1:
            raise IntegrityError(f"{path} holds two members of one name, or more than one model", hint=_AGAIN)
        if "serialized_exported_program.json" in inside:
            raise IntegrityError(f"{path} was written by a torch before 2.8, whose format holds pickles", hint=_AGAIN)
        if any("aotinductor" in name for name in inside):
            raise IntegrityError(
                f"{path} holds compiled machine code (AOTInductor)", hint="save it with torch.export.save alone"
            )
        pickled = [name for name in inside if name.startswith(_SAMPLES) and _runs(archive.read(inside[name]))]
        for name in inside:
            if name.startswith("data/") and name.endswith("_config.json"):
                pickled += _pickled(archive, inside[name])
    if pickled:
        raise IntegrityError(
            f"{path} holds pickled objects, which could run code when read; it was not loaded",
            details=pickled,
            hint="export a model whose weights and constants are plain dense tensors",
        )


def _runs(content: bytes) -> bool:
    """Says whether sample inputs are more than tensors: torch would then unpickle them without restriction."""
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception:  # noqa: BLE001  whatever keeps the safe reader from reading it makes torch take the other
        return True
    return False


def _pickled(archive: zipfile.ZipFile, member: str) -> list[str]:
    if archive.getinfo(member).file_size > _MAX_CONFIG_BYTES:
        raise IntegrityError(f"{member} is too large to be the index of a model", hint=_AGAIN)
    entries = json.loads(archive.read(member)).get("config", {})
    return sorted(name for name, entry in entries.items() if not _is_plain(entry))


def _is_plain(entry: dict[str, object]) -> bool:
    return entry.get("use_pickle") is False and str(entry.get("path_name")).startswith(("weight_", "tensor_"))
