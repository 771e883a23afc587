"""The monitors as a callback of Lightning, for trainings that other programs run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sysu30k_bench.extras import missing_package
from sysu30k_bench.training.ssl.monitor import collapsed, look

try:
    from pytorch_lightning.callbacks import Callback
except ImportError as error:
    raise missing_package("the callback needs Lightning", "pytorch_lightning") from error

DEFAULT_EVERY = 50


class HealthCallback(Callback):
    """Logs how a module's features are spread, and stops a training that has collapsed.

    Args:
        module: The path of the submodule whose output is looked at, such as `backbone`.
        every: Steps between two looks.
        stop: Stop the training where features are not finite, nearly all the same, or on a line.
        prefix: Of the logged names.

    Attributes:
        last: The last look.
        reason: Why the training was stopped; empty otherwise.
    """

    def __init__(
        self, module: str = "backbone", every: int = DEFAULT_EVERY, *, stop: bool = False, prefix: str = "health/"
    ) -> None:
        super().__init__()
        self._module, self._every, self._stop, self._prefix = module, every, stop, prefix
        self._features: torch.Tensor | None = None
        self._handle: Any = None
        self._wanted = True
        self.last: dict[str, float] = {}
        self.reason = ""

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:  # noqa: ANN401, ARG002  Lightning's signature
        """See Lightning."""
        self._handle = pl_module.get_submodule(self._module).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: object, made: object) -> None:  # noqa: ARG002  torch's signature
        if self._wanted and isinstance(made, torch.Tensor):
            self._features, self._wanted = made.detach(), False

    def on_train_batch_end(
        self,
        trainer: Any,  # noqa: ANN401  Lightning's signature
        pl_module: Any,  # noqa: ANN401
        outputs: object,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """See Lightning."""
        self._wanted = (batch_idx + 1) % self._every == 0
        if self._features is None:
            return
        self.last = look(self._features)
        self._features = None
        pl_module.log_dict({f"{self._prefix}{name}": value for name, value in self.last.items()})
        self.reason = collapsed(self.last)
        if self._stop and self.reason:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:  # noqa: ANN401, ARG002  Lightning's signature
        """See Lightning."""
        if self._handle is not None:
            self._handle.remove()
