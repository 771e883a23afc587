"""safetensors files, told by their first bytes and read by the safetensors library."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch

from sysu30k_bench.models.formats.faults import Damaged

_LONGEST_HEADER = 100_000_000


def is_safetensors(head: bytes) -> bool:
    """Says whether a file's first 9 bytes or more are a header's length and the beginning of its JSON."""
    return len(head) >= 9 and head[8:9] == b"{" and 2 <= struct.unpack("<Q", head[:8])[0] <= _LONGEST_HEADER


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads all tensors of a file, mapped from it.

    Raises:
        Damaged: The file is cut off or damaged.
    """
    from safetensors import SafetensorError, safe_open

    _check_length(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the library has no iterator
    except SafetensorError as error:
        raise Damaged(f"it is no whole safetensors file: {error}") from error


def _check_length(path: Path) -> None:
    """Compares the file's size with what its header says, for the library does not say which is short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        if 8 + length > size:
            raise Damaged("it ends in its header", cut=True)
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise Damaged("the header of its tensors is no JSON") from error
    entries = [value for name, value in header.items() if name != "__metadata__"] if isinstance(header, dict) else []
    ends = [entry.get("data_offsets", [0, 0])[-1] for entry in entries if isinstance(entry, dict)]
    end = 8 + length + max((end for end in ends if isinstance(end, int)), default=0)
    if end > size:
        raise Damaged(f"it ends too early: {end - size:,} bytes are missing", cut=True)
