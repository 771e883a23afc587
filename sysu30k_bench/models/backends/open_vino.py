"""OpenVINO on the CPU: a stream for each group of cores, a part of the batch for each stream."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner, first_line, of_one_size


def open_vino(network: nn.Module, job: Job) -> Runner:
    """Converts the network and compiles it for throughput, in float32 or, where the processor has it, bfloat16.

    Raises:
        BackendRefusal: The package is missing, the network cannot be converted, or the processor has no bfloat16.
    """
    if job.device.type != "cpu":
        raise BackendRefusal("runs on the CPU here")
    try:
        import openvino
    except ImportError as error:
        raise BackendRefusal("openvino is not installed", "openvino") from error
    core: Any = openvino.Core()
    if job.bf16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise BackendRefusal("the processor has no bfloat16, and OpenVINO would compute in float32")
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "bf16" if job.bf16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = copy.deepcopy(network).cpu().eval().requires_grad_(requires_grad=False)
            # torch.export refuses branches on values, which a trace would take as they were for the example
            anyone = {0: torch.export.Dim.DYNAMIC}
            program = torch.export.export(module, (job.example(2).cpu(),), dynamic_shapes=(anyone,))
            model = openvino.convert_model(program)
            if len(model.outputs) != 1:
                raise BackendRefusal(f"the network has {len(model.outputs)} outputs")
            model.reshape([1, 3, job.height, job.width])
            streams = int(core.compile_model(model, "CPU", settings).get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            part = -(-job.batch // max(1, streams))
            model.reshape([part, 3, job.height, job.width])
            compiled = core.compile_model(model, "CPU", settings)
    except BackendRefusal:
        raise
    except Exception as error:
        raise BackendRefusal(f"OpenVINO cannot convert the network: {first_line(error)}") from error
    return of_one_size(_Streams(openvino.AsyncInferQueue(compiled, streams), part).run, part * streams)


class _Streams:
    """Runs the parts of a batch at the same time, each on a stream of its own."""

    def __init__(self, queue: Any, part: int) -> None:  # noqa: ANN401  openvino has no types
        self._queue = queue
        self._part = part
        self._done: dict[int, np.ndarray] = {}
        queue.set_callback(self._keep)

    def run(self, pixels: torch.Tensor) -> torch.Tensor:
        self._done = {}
        images = pixels.contiguous().numpy()
        for index, start in enumerate(range(0, len(images), self._part)):
            self._queue.start_async({0: images[start : start + self._part]}, index)
        self._queue.wait_all()
        return torch.from_numpy(np.concatenate([self._done[index] for index in sorted(self._done)]))

    def _keep(self, request: Any, index: int) -> None:  # noqa: ANN401
        self._done[index] = request.get_output_tensor().data.copy()
