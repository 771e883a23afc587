"""A callback of Lightning that evaluates the network in the middle of a training."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from sysu30k_bench.api.evaluate import Source, evaluate
from sysu30k_bench.api.log import Log, log_result
from sysu30k_bench.api.result import Result
from sysu30k_bench.api.transformed import ImageTransform
from sysu30k_bench.errors import UsageError
from sysu30k_bench.extras import missing_package

_HOMES = ("lightning.pytorch", "pytorch_lightning")


def _callback_class() -> Any:  # noqa: ANN401  one of two classes that are not related
    """Returns the callback class of the Lightning that the program has imported, or else of one that is installed."""
    for home in (*(home for home in _HOMES if home in sys.modules), *_HOMES):
        try:
            return importlib.import_module(f"{home}.callbacks").Callback
        except ImportError:
            continue
    raise missing_package("the callback needs Lightning", "lightning")


_Callback: Any = object if TYPE_CHECKING else _callback_class()


class RetrievalCallback(_Callback):  # type: ignore[misc]
    """Evaluates the network after validation epochs, and logs `retrieval/rank1` and the other metrics.

    Several processes divide the images, and all of them get the result, so that checkpoints and early stopping
    can monitor it.

    Args:
        data: As in `evaluate`; `open_data` reads the lists once for all epochs.
        transform: As in `evaluate`.
        every_n_epochs: Evaluate after every n-th epoch.
        embed: The function of the network that embeds (N, 3, H, W): a method's name, or a function of the module and
            the images; the module's own call if omitted.
        prefix: Prefix of the metrics' names.
        log_to: Further places for the results, as in `log_result`; the first process writes.
        options: As in `evaluate`, such as `limit=200` or `batch_size=64`.

    Attributes:
        result: The latest result; None before the first.
    """

    def __init__(
        self,
        data: Source,
        *,
        transform: str | ImageTransform | None = None,
        every_n_epochs: int = 1,
        embed: str | Callable[[Any, torch.Tensor], torch.Tensor] | None = None,
        prefix: str = "retrieval/",
        log_to: Sequence[Log] = (),
        **options: Any,  # noqa: ANN401  those of `evaluate`
    ) -> None:
        if every_n_epochs < 1:
            raise UsageError(f"every_n_epochs is {every_n_epochs}; it is a whole number from 1")
        super().__init__()
        self._data, self._transform, self._options = data, transform, options
        self._every, self._embed, self._prefix, self._log_to = every_n_epochs, embed, prefix, tuple(log_to)
        self.result: Result | None = None

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401  Lightning's own
        """Evaluates; Lightning calls it in every process."""
        if trainer.sanity_checking or (trainer.current_epoch + 1) % self._every:
            return
        network = self._network(pl_module)
        self.result = evaluate(
            network,
            self._data,
            transform=self._transform,
            distributed=trainer.world_size > 1,
            **self._options,
        )
        for name, value in self.result.metrics.items():
            pl_module.log(f"{self._prefix}{name}", value, prog_bar=name == "rank1", sync_dist=False)
        if trainer.is_global_zero:
            for place in self._log_to:
                log_result(self.result, place, step=trainer.current_epoch, prefix=self._prefix)

    def _network(self, module: Any) -> Any:  # noqa: ANN401
        if self._embed is None:
            return module
        if isinstance(self._embed, str):
            return getattr(module, self._embed)
        embed = self._embed
        return _Bound(module, embed).embed


class _Bound(torch.nn.Module):
    """A module with a function of it, so that the module's mode is known to be the function's."""

    def __init__(self, module: torch.nn.Module, function: Callable[[Any, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.module = module
        self._function = function

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return self._function(self.module, images)
