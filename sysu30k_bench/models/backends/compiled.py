"""torch.compile with frozen weights; CUDA graphs on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner, first_line, of_one_size


def compiled(network: nn.Module, job: Job) -> Runner:
    """Compiles the network for one batch size, and runs it once so that it is compiled.

    Raises:
        BackendRefusal: The graph breaks, or there is no compiler.
    """
    options: dict[str, str | int | bool | Callable[..., Any]] = {"freezing": True}
    if job.device.type == "cuda":
        options["triton.cudagraphs"] = True
    module = copy.deepcopy(network).eval()
    function = torch.compile(module, fullgraph=True, dynamic=False, options=options)

    def run(pixels: torch.Tensor) -> torch.Tensor:
        # a CUDA graph writes its next result where it wrote this one
        return function(pixels.contiguous(memory_format=torch.channels_last)).clone()  # type: ignore[no-any-return]

    try:
        with (
            torch.inference_mode(),
            torch.autocast(job.device.type, torch.bfloat16, enabled=job.bf16),
        ):
            run(job.example())
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise BackendRefusal(f"torch.compile: {first_line(error)}") from error
    return of_one_size(run, job.batch)
