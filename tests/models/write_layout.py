"""The inverse of a layout: a network's tensors under the names that a card's file has."""

from __future__ import annotations

import re

from sysu30k_bench.models.card import AdapterCard, Layout
from sysu30k_bench.models.matching.layouts import apply_layout, card_layouts
from tests.models.checkpoints import State

_OTHERS = {
    "dgl": [("logits.", "classifier.classifier.0."), ("", "model.")],
    "mgn": [("", "")],
    "mgn-shared": [("", "")],
}


def as_the_card_reads_it(card: AdapterCard, state: State) -> State:
    """Renames a state dict for the first layout of a card that can hold it.

    Args:
        card: The card.
        state: Tensors by the network's names.
    """
    for layout in card_layouts(card):
        renamed = {_written(layout, key): value for key, value in state.items()}
        if len(renamed) == len(state) and set(apply_layout(layout, renamed)[0]) == set(state):
            return renamed
    raise AssertionError(f"no layout of {card.name} can be written")


def _written(layout: Layout, key: str) -> str:
    for ours, theirs in _OTHERS.get(layout.name, [("", layout.take)]):
        if key.startswith(ours):
            return re.sub("^" + re.escape(ours), theirs, key)
    return key
