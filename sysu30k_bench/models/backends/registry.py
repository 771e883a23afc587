"""The backends by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import nn

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.extras import how_to_install
from sysu30k_bench.models.backends.compiled import compiled
from sysu30k_bench.models.backends.contract import Backend, BackendRefusal, Job
from sysu30k_bench.models.backends.fused import fused
from sysu30k_bench.models.backends.onnx_runtime import onnx_runtime
from sysu30k_bench.models.backends.open_vino import open_vino
from sysu30k_bench.models.backends.tensorrt import tensorrt
from sysu30k_bench.models.embedder import Embedder

BackendName = Literal["eager", "fused", "compile", "onnxruntime", "openvino", "tensorrt"]
BackendChoice = Literal["auto", "eager", "fused", "compile", "onnxruntime", "openvino", "tensorrt"]
BACKENDS: dict[str, Backend] = {
    "openvino": open_vino,
    "onnxruntime": onnx_runtime,
    "fused": fused,
    "tensorrt": tensorrt,
    "compile": compiled,
}
"""All but `eager`, which is the network itself; in the order in which they are tried, the slowest to build last."""

NAMES: tuple[BackendName, ...] = get_args(BackendName)


_ON_CPU = ("openvino", "onnxruntime")
_ON_CUDA = ("tensorrt",)


def known(name: str) -> BackendName:
    """Returns a name as one of `NAMES`.

    Raises:
        UsageError: It is none, such as that in a manifest of a later version.
    """
    for one in NAMES:
        if one == name:
            return one
    raise UsageError(f"there is no backend {name!r} in this version", hint="choose another --output")


def candidates_for(device: torch.device) -> dict[str, Backend]:
    """Returns the backends that can run on a kind of device."""
    elsewhere = _ON_CPU if device.type == "cuda" else _ON_CUDA
    return {name: backend for name, backend in BACKENDS.items() if name not in elsewhere}


def job_of(embedder: Embedder, batch: int) -> Job:
    """Returns what a backend for this network has to be made for."""
    size = embedder.input
    return Job(batch, size.height, size.width, embedder.mean.device, embedder.bf16)


def use_backend(embedder: Embedder, name: str, batch: int, backends: Mapping[str, Backend] | None = None) -> None:
    """Makes an embedder run its network by a backend from now on.

    Args:
        embedder: The network, on its device.
        name: Of `NAMES`.
        batch: Images in one forward pass.
        backends: In place of `BACKENDS`.

    Raises:
        BackendRefusal: The backend cannot take the network, or is not installed.
    """
    if name == "eager":
        embedder.use(None)
        return
    require_plain(embedder.trunk, takes_camera=embedder.takes_camera)
    embedder.use((backends or BACKENDS)[name](embedder.trunk, job_of(embedder, batch)))


def require_plain(network: nn.Module, *, takes_camera: bool) -> None:
    """Refuses a network that no backend can take.

    Raises:
        BackendRefusal: It takes more than images, or is a whole model, which another library runs already.
    """
    if takes_camera:
        raise BackendRefusal("the network is given the camera of each image, and a backend takes images alone")
    if getattr(network, "runs_elsewhere", False):
        raise BackendRefusal("a whole model is run by its own library")


def refusal_of(name: str, refusal: BackendRefusal) -> DataError | UsageError:
    """Makes the error about a backend that was asked for by name and cannot be had."""
    if refusal.package:
        return DataError(f"--backend {name}: {refusal}", hint=how_to_install(refusal.package))
    return UsageError(f"--backend {name}: {refusal}", hint="omit --backend, or use --backend eager")
