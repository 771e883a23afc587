"""Batch norms folded into the convolutions before them, in channels last; still torch, on any device."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sysu30k_bench.models.backends.contract import BackendRefusal, Job, Runner, first_line


def fused(network: nn.Module, job: Job) -> Runner:
    """Folds what can be folded; the arithmetic is the same up to rounding.

    Raises:
        BackendRefusal: torch.fx cannot trace the network, or nothing in it can be folded.
    """
    try:
        traced = fx.symbolic_trace(copy.deepcopy(network).eval())
    except Exception as error:
        raise BackendRefusal(f"torch.fx cannot trace the network: {first_line(error)}") from error
    if not _fold(traced):
        raise BackendRefusal("the network has no batch norm behind a convolution")
    module = traced.to(job.device).to(memory_format=torch.channels_last).eval()

    def run(pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = module(pixels)
        return features

    return run


def _fold(traced: fx.GraphModule) -> int:
    """Folds each norm that is the only reader of a convolution; returns how many.

    Modules that are called several times keep their weights: what is right behind one call is wrong behind another.
    """
    modules = dict(traced.named_modules())
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    folded = 0
    for node in list(traced.graph.nodes):
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        convolution, norm = modules[str(before.target)], modules[str(node.target)]
        if type(convolution) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d or norm.running_mean is None:
            continue
        if calls[before.target] != 1 or calls[node.target] != 1:
            continue
        traced.set_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
        folded += 1
    traced.graph.lint()
    traced.recompile()
    return folded
