"""Doing a step again whose loss was not finite, and finding where it breaks."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import nn


class FaultFinder:
    """Notes the first module of a network whose output is not finite, while it is entered.

    Args:
        network: The network.

    Attributes:
        first: That module's name and class; empty where every output was finite.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._handles: list[Any] = []
        self.first = ""

    def __enter__(self) -> Self:
        for name, module in self._network.named_modules():
            if not any(True for _ in module.children()):
                self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Any:  # noqa: ANN401  torch's hooks
        def note(module: nn.Module, given: object, made: object) -> None:  # noqa: ARG001  torch's signature
            if not self.first and isinstance(made, torch.Tensor) and not bool(torch.isfinite(made).all()):
                self.first = f"{name} ({type(module).__name__})"

        return note


def weights_at_fault(network: nn.Module) -> list[str]:
    """Returns the names of a network's tensors that hold NaN or infinite numbers."""
    return [name for name, value in network.state_dict().items() if not bool(torch.isfinite(value.float()).all())]
