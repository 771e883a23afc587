"""Which engine a machine gets, and why."""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.search.engine import Engine

EngineName = Literal["auto", "faiss", "torch"]


def choose_engine(name: EngineName, device: torch.device) -> tuple[Engine, str]:
    """Makes the engine that was asked for, or the best that is there.

    `auto` takes FAISS on the GPU where its GPU build sees one, torch on the GPU where only torch does, FAISS on the CPU
    where it is installed, and torch on the CPU otherwise.

    Args:
        name: `auto`, `faiss` or `torch`.
        device: Where to compute.

    Returns:
        The engine, and the reason for it.

    Raises:
        DataError: The engine or its device is missing.
    """
    from sysu30k_bench.search.engine_faiss import FaissEngine, faiss_has_gpu
    from sysu30k_bench.search.engine_torch import TorchEngine

    on_gpu = device.type == "cuda"
    number = (device.index or 0) if on_gpu else None
    if name == "torch":
        return TorchEngine(device), "asked for"
    if name == "faiss":
        return FaissEngine(number), "asked for"
    if on_gpu and faiss_has_gpu():
        return FaissEngine(number), "FAISS sees a GPU"
    if on_gpu:
        return TorchEngine(device), "torch sees a GPU and FAISS does not"
    if importlib.util.find_spec("faiss") is not None:
        return FaissEngine(), "no GPU, and FAISS is installed"
    return TorchEngine(device), "no GPU, and FAISS is not installed"


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Turns `auto`, `cpu`, `cuda` or `cuda:N` into a device that is there.

    Args:
        name: What the user asked for.
        local_rank: Which GPU `auto` and `cuda` take in a process of several.

    Raises:
        UsageError: No device has such a name.
        DataError: The device is not there.
    """
    if name == "auto":
        name = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name} is not auto, cpu or cuda:N") from error
    if device.type == "cuda":
        index = device.index if device.index is not None else local_rank
        if index >= torch.cuda.device_count():
            raise DataError(
                f"there is no device cuda:{index}; torch sees {torch.cuda.device_count()} GPUs", hint="use --device cpu"
            )
        return torch.device("cuda", index)
    if device.type != "cpu":
        raise UsageError(f"--device {name} is not auto, cpu or cuda:N")
    return device
