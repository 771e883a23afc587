"""The inverse of a layout: a network's tensors under the names that a card's file has."""

from __future__ import annotations

import re

from sysu30k_bench.models.card import AdapterCard, Layout
from sysu30k_bench.models.layouts import apply_layout, card_layouts
from tests.models.checkpoints import State

_OTHERS = {
    "dgl": [("logits.", "classifier.classifier.0."), ("", "model.")],
    "layumi": [("bottleneck.", "classifier.add_block."), ("", "model.")],
    "densenet-layumi": [("bottleneck.", "classifier.add_block."), ("", "model.")],
    "mgn": [("", "")],
    "mgn-shared": [("", "")],
}
_PARTS = ["1", "2", "3", "21", "22", "31", "32", "33"]
_FASTREID = {
    **{f"reduction_{at}.": f"b{part}_head.bottleneck." for at, part in enumerate(_PARTS)},
    **{f"pool_{at}.": f"b{part}_head.pool_layer." for at, part in enumerate(_PARTS)},
    **{f"p{at}.": f"b{at}." for at in (1, 2, 3)},
}


def as_the_card_reads_it(card: AdapterCard, state: State, victim: str) -> tuple[State, str]:
    """Renames a state dict for the first layout of a card that can hold it.

    Args:
        card: The card.
        state: Tensors by the network's names.
        victim: One of these names.

    Returns:
        The renamed tensors, and the victim's name among them.
    """
    for layout in card_layouts(card):
        names = {key: _written(layout, key) for key in state}
        renamed = {names[key]: value for key, value in state.items()}
        if len(renamed) == len(state) and set(apply_layout(layout, renamed)) == set(state):
            return renamed, names[victim]
    raise AssertionError(f"no layout of {card.name} can be written")


def _written(layout: Layout, key: str) -> str:
    rules = list(_FASTREID.items()) if layout.name == "mgn-fastreid" else _OTHERS.get(layout.name, [("", layout.take)])
    for ours, theirs in rules:
        if key.startswith(ours):
            return re.sub("^" + re.escape(ours), theirs.replace("\\", ""), key)
    return key
