"""A network as an ONNX graph, in memory."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings

import torch
from torch import nn

from sysu30k_bench.models.backends.contract import BackendRefusal, Job, first_line

_LARGEST = 2_000_000_000  # protobuf ends at 2 GiB


def onnx_graph(network: nn.Module, job: Job) -> bytes:
    """Exports a network for one batch size.

    Returns:
        The serialised model, weights included.

    Raises:
        BackendRefusal: torch.export cannot follow the network, a package is missing, or the model is over 2 GB.
    """
    for package in ("onnx", "onnxscript"):
        _require(package)
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    if weights > _LARGEST:
        raise BackendRefusal(f"the network has {weights / 1e9:.1f} GB of weights; an ONNX model in memory ends at 2")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            module = copy.deepcopy(network).cpu().eval().requires_grad_(requires_grad=False)
            program = torch.onnx.export(module, (job.example().cpu(),), dynamo=True, verbose=False)
    except Exception as error:
        raise BackendRefusal(f"torch.onnx cannot export the network: {first_line(error)}") from error
    finally:
        logger.setLevel(level)
    if program is None:
        raise BackendRefusal("torch.onnx gave no model")
    model: bytes = program.model_proto.SerializeToString()
    return model


def _require(package: str) -> None:
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise BackendRefusal(f"{package} is not installed", package)
