"""What a network reads off a checkpoint's tensors: its depth, widths, positions of special layers, and input size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch


@dataclass(frozen=True)
class Structure:
    """Options of a network's constructor, as a file's tensors show them.

    Attributes:
        options: For the constructor; JSON values.
        input: Keys of the card's `[input]` that the file shows in place of the card's, such as the height and width
            that a grid of position embeddings stands for.
        notes: What was assumed where the tensors do not tell, for the user.
        alike: Values of the option `architecture` that have the same tensors, each with its own `input`; the name that
            the file gives its network chooses among them.
    """

    options: dict[str, object] = field(default_factory=dict)
    input: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    alike: Mapping[str, dict[str, object]] = field(default_factory=dict)


@runtime_checkable
class ReadsStructure(Protocol):
    """A network class that finds its own options in a file."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network.

        Args:
            tensors: The file's tensors by the network's own names.
        """
