"""TensorRT on an NVIDIA GPU, by torch_tensorrt."""

from __future__ import annotations

import copy
import importlib.util
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner, first_line, of_one_size


def tensorrt(network: nn.Module, job: Job) -> Runner:
    """Builds an engine for one batch size, in float32 without TF32, or in bfloat16.

    Raises:
        BackendRefusal: There is no GPU, the package is missing, or the network cannot be converted whole.
    """
    if job.device.type != "cuda":
        raise BackendRefusal("runs on an NVIDIA GPU alone")
    if importlib.util.find_spec("torch_tensorrt") is None:
        raise BackendRefusal("torch_tensorrt is not installed", "torch-tensorrt")
    try:
        library: Any = importlib.import_module("torch_tensorrt")
        module = copy.deepcopy(network).eval()
        engine = library.compile(
            module,
            ir="dynamo",
            inputs=[job.example()],
            enabled_precisions={torch.bfloat16} if job.bf16 else {torch.float32},
            disable_tf32=True,
            require_full_compilation=True,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise BackendRefusal(f"TensorRT: {first_line(error)}") from error

    def run(pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = engine(pixels.contiguous())
        return features

    return of_one_size(run, job.batch)
