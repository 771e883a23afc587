"""Which engine a machine gets, and why."""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.search.engines.engine import FAST_FROM, Engine, FilterName
from sysu30k_bench.words import count

EngineName = Literal["auto", "faiss", "torch"]


def choose_engine(
    name: EngineName, device: torch.device, wanted: FilterName = "auto", work: float = 0.0
) -> tuple[Engine, str]:
    """Creates the requested engine, or the best available one.

    `auto` takes FAISS on the GPU where its GPU build sees one, and torch on the GPU where only torch does. On the CPU
    it takes torch for large jobs where the processor multiplies eight or sixteen bits natively, since FAISS multiplies
    float32 alone, or where a trial shows that FAISS's float32 products are slow on this processor; else FAISS where it
    is installed, and torch otherwise.

    Args:
        name: `auto`, `faiss` or `torch`.
        device: Where to compute.
        wanted: The arithmetic of torch's filter.
        work: Multiplications of the job, Q x G x D.

    Returns:
        The engine, and the reason for it.

    Raises:
        DataError: The engine or its device is missing.
    """
    from sysu30k_bench.search.engines.faiss_engine import FaissEngine, faiss_has_gpu
    from sysu30k_bench.search.engines.filter_trial import filters_that_pay
    from sysu30k_bench.search.engines.product_trial import WORTH, numpy_gain
    from sysu30k_bench.search.engines.torch_engine import TorchEngine

    on_gpu = device.type == "cuda"
    number = (device.index or 0) if on_gpu else None
    if name == "faiss" and wanted not in {"auto", "float32"}:
        raise UsageError(f"FAISS filters in float32, not in {wanted}", hint="use --engine torch with --filter")
    if name == "torch" or wanted not in {"auto", "float32"}:
        plain = work < FAST_FROM and wanted == "auto"
        return TorchEngine(device, "float32" if plain else wanted), "asked for"
    if name == "faiss":
        return FaissEngine(number), "asked for"
    if on_gpu and faiss_has_gpu():
        return FaissEngine(number), "FAISS sees a GPU"
    if on_gpu:
        return TorchEngine(device), "torch sees a GPU and FAISS does not"
    filters = filters_that_pay() if wanted == "auto" and work >= FAST_FROM and not on_gpu else ()
    if len(filters) > 1:
        return TorchEngine(device, "auto"), f"no GPU, and this processor multiplies in {' and '.join(filters[:-1])}"
    if importlib.util.find_spec("faiss") is None:
        return TorchEngine(device), "no GPU, and FAISS is not installed"
    gain = numpy_gain() if work >= FAST_FROM else 0.0
    if gain >= WORTH:
        return TorchEngine(device), f"no GPU, and numpy's float32 product is {gain:.1f} times as fast as FAISS's here"
    return FaissEngine(), "no GPU, and FAISS is installed"


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Turns `auto`, `cpu`, `cuda` or `cuda:N` into a device that exists.

    Args:
        name: What the user asked for.
        local_rank: Which GPU `auto` and `cuda` take in a process of several.

    Raises:
        UsageError: No device has such a name.
        DataError: The device does not exist.
    """
    if not isinstance(name, str):
        raise UsageError(f"device is {name!r}", hint="auto, cpu or cuda:N")
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
                f"there is no device cuda:{index}; torch sees {count(torch.cuda.device_count(), 'GPU')}",
                hint="use --device cpu",
            )
        return torch.device("cuda", index)
    if device.type != "cpu":
        raise UsageError(f"--device {name} is not auto, cpu or cuda:N")
    return device
