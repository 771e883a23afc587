"""What a card's network needs from a file, read off the network built without memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import nn

from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.card import AdapterCard, Input, Network
from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.sources import RemovedLayer, build_trunk, structure_reader

COUNTER = "num_batches_tracked"
BOTTLENECK = ("bottleneck.0.weight", "bottleneck.0.bias", "bottleneck.1.weight", "bottleneck.1.bias",
              "bottleneck.1.running_mean", "bottleneck.1.running_var")  # fmt: skip
LOGITS = ("logits.weight", "logits.bias")
_BUILT = 64


@dataclass(frozen=True)
class Blueprint:
    """What a card's network needs from a file.

    Attributes:
        trunk: Shapes of the trunk's tensors by name, batch counters aside.
        removed: Paths of the layers that were taken out of it, whose tensors a file may well hold.
        head: Names of the tensors behind the trunk (bottleneck or logits).
    """

    trunk: dict[str, tuple[int, ...]]
    removed: frozenset[str]
    head: tuple[str, ...]

    @classmethod
    def of(cls, card: AdapterCard, trunk: nn.Module) -> Blueprint:
        """Reads the blueprint off a trunk."""
        names = trunk.state_dict()
        return cls(
            trunk={name: tuple(value.shape) for name, value in names.items() if not name.endswith(COUNTER)},
            removed=frozenset(path for path, module in trunk.named_modules() if isinstance(module, RemovedLayer)),
            head={"bottleneck": BOTTLENECK, "logits": LOGITS}.get(card.feature.kind, ()),
        )


def blueprint_of(card: AdapterCard) -> Blueprint | None:
    """Returns what a card's network needs; None where it cannot be built, for want of a package or of sense."""
    try:
        trunk = _shapes(card.network.model_dump_json())
    except BenchError:  # a card whose package is not installed must not keep the others from being found
        return None
    return Blueprint.of(card, trunk)


def settle(
    card: AdapterCard, tensors: Mapping[str, torch.Tensor], architecture: str = ""
) -> tuple[AdapterCard, list[str]] | None:
    """Settles a card on the network that a file's tensors show.

    Args:
        card: The card; its own options win over what the tensors show.
        tensors: The file's tensors by the network's names.
        architecture: The name that the file gives its network, which settles what tensors leave open.

    Returns:
        The card with the network's options and input size, and what was assumed; None where the file is of another
        network.
    """
    read = structure_reader(card.network)
    if read is None:
        return card, []
    try:
        found = read(tensors)
        if not isinstance(found, Structure):
            return None
        if architecture in found.alike:
            named = {**found.options, "architecture": architecture}
            found = replace(found, options=named, input=found.alike[architecture], notes=[])
        network = Network(source=card.network.source, options={**_plain(found.options), **card.network.options})
        seen = Input.model_validate({**card.input.model_dump(), **_plain(found.input)})
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None  # tensors that make no sense as this network
    return card.model_copy(update={"network": network, "input": seen}), found.notes


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@lru_cache(maxsize=_BUILT)
def _shapes(network: str) -> nn.Module:
    described = Network.model_validate_json(network)
    try:
        with torch.device("meta"):
            return build_trunk(described)
    except BenchError:
        raise
    except Exception:  # noqa: BLE001  a constructor that computes needs real tensors
        return build_trunk(described)
