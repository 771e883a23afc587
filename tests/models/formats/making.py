"""Files for the reader's tests: torch archives of any pickle, state dicts to compare, and a watch over what runs."""

from __future__ import annotations

import io
import sys
import tempfile
import types
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.formats.pickles.standin import StandIn
from sysu30k_bench.models.formats.read import read_content

WEIGHTS = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.tensor([0.5, -1.0])}
WATCHED = {
    "import",
    "exec",
    "compile",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "pickle.find_class",
}
_seen: list[str] = []
_watching = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching and (
        event in WATCHED or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"))
    ):
        _seen.append(f"{event} {args[:2]}")


sys.addaudithook(_hook)


@cache
def _warm() -> None:
    """Has the libraries that the reader uses import what they put off until their first use."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.pth"
        for kind in ("zip", "legacy"):
            path.write_bytes(torch_bytes(WEIGHTS, kind))
            read_content(path)
        read_content(archive(path, b"\x80\x02}."))
        for content in (b"a text", bytes(300)):
            path.write_bytes(content)
            with pytest.raises(BenchError):
                read_content(path)


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Fails where the block imports, compiles, starts or writes anything, or looks up what a pickle names."""
    global _watching
    _warm()
    _seen.clear()
    before = set(sys.modules)
    _watching = True
    try:
        yield
    finally:
        _watching = False
    assert not _seen, _seen
    assert set(sys.modules) == before


def torch_bytes(content: object, kind: str = "zip", protocol: int = 2) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=kind == "zip", pickle_protocol=protocol)
    return file.getvalue()


def archive(
    path: Path,
    pickled: bytes,
    storages: Mapping[str, bytes] | None = None,
    *,
    compressed: bool = False,
    order: str = "",
) -> Path:
    """Writes a torch archive by hand."""
    how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr("archive/data.pkl", pickled)
        if order:
            file.writestr("archive/byteorder", order)
        for key, content in (storages or {}).items():
            file.writestr(f"archive/data/{key}", content)
        file.writestr("archive/version", "3\n")
    return path


def same(found: Any, expected: Any) -> bool:
    """Compares what was read with what torch reads: types, dtypes, shapes, strides, bits."""
    if isinstance(expected, torch.Tensor):
        return type(found) is torch.Tensor and _layout(found) == _layout(expected) and bits(found) == bits(expected)
    if isinstance(expected, (np.ndarray, np.generic)):
        return (
            type(found) is type(expected)
            and found.dtype == expected.dtype.newbyteorder("=")
            and found.shape == expected.shape
            and found.astype(expected.dtype).tobytes() == expected.tobytes()
        )
    if isinstance(expected, dict):
        alike = type(found) is dict and list(found) == list(expected)
        return alike and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, (list, tuple)):
        alike = type(found) in (list, tuple) and len(found) == len(expected)
        return alike and all(same(one, other) for one, other in zip(found, expected, strict=True))
    return type(found) is type(expected) and (found == expected or str(found) == str(expected) == "nan")


def _layout(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset()


def bits(tensor: torch.Tensor) -> bytes:
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    flat.copy_(tensor.detach().resolve_conj().resolve_neg().flatten())
    return flat.view(torch.uint8).numpy().tobytes() if len(flat) else b""


def made_up(name: str, *bases: type) -> type:
    """Returns a class of a module that is not installed; `forget` its module before reading."""
    module_name, _, own = name.rpartition(".")
    parts = module_name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        sys.modules.setdefault(part, types.ModuleType(part))
    made = type(own, bases or (object,), {"__module__": module_name})
    setattr(sys.modules[module_name], own, made)
    return made


def forget(*tops: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]


def tensors(content: object, prefix: str = "") -> dict[str, torch.Tensor]:
    """Flattens nested dicts and lists to tensors by dotted names."""
    if isinstance(content, torch.Tensor):
        return {prefix[:-1]: content}
    assert not isinstance(content, StandIn) or not content.items
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return {name: value for key, child in inner for name, value in tensors(child, f"{prefix}{key}.").items()}
