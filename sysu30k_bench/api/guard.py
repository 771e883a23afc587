"""A caller's network, used in the middle of a training and given back as it was."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from sysu30k_bench.errors import UsageError

Network = nn.Module | Callable[[torch.Tensor], torch.Tensor]
"""From images (N, 3, H, W), prepared as `transform` says, to embeddings (N, D)."""


def unwrapped(network: Network) -> Network:
    """Returns what a wrapper of several processes or devices holds: its own forward would wait for the others.

    Raises:
        UsageError: The weights are spread over processes.
    """
    if isinstance(network, nn.parallel.DistributedDataParallel | nn.DataParallel):
        return unwrapped(network.module)
    if any("FSDP" in kind.__name__ or "FullyShardedDataParallel" in kind.__name__ for kind in type(network).__mro__):
        raise UsageError(
            "the network's weights are sharded over processes (FSDP)",
            hint="gather its state dict in one process, and evaluate a network with these weights",
        )
    return network


def modules_of(network: Network) -> list[nn.Module]:
    """Returns the modules whose state a network uses, outermost first.

    Of a function these are the module whose method it is, and those among its closure and the globals that it names;
    of another object, its attributes.
    """
    if isinstance(network, nn.Module):
        return [network]
    if isinstance(network, partial):
        bound = [network.func, *network.args, *network.keywords.values()]
        return [module for part in bound if callable(part) for module in modules_of(part)]
    owner = getattr(network, "__self__", None)
    if isinstance(owner, nn.Module):
        return [owner]
    if inspect.isfunction(network):
        names = inspect.getclosurevars(network)
        near = [*names.nonlocals.values(), *names.globals.values()]
    else:
        near = list(vars(network).values()) if hasattr(network, "__dict__") else []
    return [value for value in near if isinstance(value, nn.Module)]


class InMemory(nn.Module):
    """A caller's network as the trunk of an embedder; not registered as a part, so that nothing moves or changes it.

    Args:
        network: The caller's network.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        modules = modules_of(network)
        parameters = [one for module in modules for one in module.parameters()]
        tensors = [*parameters, *(one for module in modules for one in module.buffers())]
        self._held = (network,)  # in a tuple, where torch does not look for parts
        self._dtype = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
        self.own_device = tensors[0].device if tensors else None
        self.has_modules = bool(modules)
        self.own_parameters = sum(one.numel() for one in parameters)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Runs the network outside of inference mode: what it caches must serve the training, too."""
        with torch.inference_mode(False), torch.no_grad():
            own = images.clone(memory_format=torch.contiguous_format).to(self._dtype)
            found = self._held[0](own)
        if not isinstance(found, torch.Tensor):
            raise UsageError(
                f"the network returns a {type(found).__name__}, not a tensor (N, D)",
                hint="evaluate a function of it: lambda images: network(images)[0]",
            )
        rows = found.dim() in {2, 4} and len(found) == len(images) and found.numel()
        if not rows or not found.is_floating_point():
            raise UsageError(
                f"the network returns {found.dtype} of shape {tuple(found.shape)} for {len(images)} images, not (N, D)",
                hint="evaluate a function of it that returns one row of numbers for each image",
            )
        return found


@contextmanager
def untouched(network: Network) -> Iterator[None]:
    """Puts a network into evaluation mode; restores every module's mode, and the random number generators.

    Args:
        network: The caller's network.
    """
    modules = modules_of(network)
    modes = [(part, part.training) for module in modules for part in module.modules()]
    outer = [(module, module.training) for module in modules]
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    kept = (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002  the caller's own generator
    kept_cuda = torch.cuda.get_rng_state_all() if cuda else []
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for module, training in outer:
            module.train(training)  # some networks join on eval() what they split again on train()
        for part, training in modes:
            part.training = training
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        random.setstate(kept[2])
        if cuda:
            torch.cuda.set_rng_state_all(kept_cuda)
