"""ONNX Runtime: the network exported to ONNX, in a session in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner, first_line, of_one_size
from sysu30k_bench.models.backends.onnx_graph import onnx_graph


def onnx_runtime(network: nn.Module, job: Job) -> Runner:
    """Runs the network in ONNX Runtime on the CPU, in float32.

    Raises:
        BackendRefusal: The package is missing, or the network cannot be exported.
    """
    if job.bf16:
        raise BackendRefusal("ONNX Runtime has no bfloat16 on a CPU")
    if job.device.type != "cpu":
        raise BackendRefusal("runs on the CPU here")
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendRefusal("onnxruntime is not installed", "onnxruntime") from error
    model = onnx_graph(network, job)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # threads that wait by spinning would take the cores from the processes that decode
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BackendRefusal(f"ONNX Runtime: {first_line(error)}") from error
    name = session.get_inputs()[0].name

    def run(pixels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(session.run(None, {name: pixels.contiguous().numpy()})[0]))

    return of_one_size(run, job.batch)
