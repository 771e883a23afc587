"""Which of the networks that a card allows a checkpoint holds."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.card import AdapterCard, Network
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.load import Blueprint, best_fit
from sysu30k_bench.models.sources import build_trunk, own_input


def resolve_network(card: AdapterCard, checkpoint: CheckpointFile) -> AdapterCard:
    """Settles a card on one network.

    Args:
        card: The card; its own network comes first, then its alternatives in their order.
        checkpoint: The file.

    Returns:
        The card with the first network that the file fills, and that network's input size where it is fixed; with its
        own network where the file fills none. It has no alternatives left.
    """
    variants = _variants(card)
    for variant in _plausible(variants, checkpoint):
        if fills(variant, checkpoint):
            return variant if variant is variants[0] else _with_own_size(variant)
    return variants[0]


def fills(card: AdapterCard, checkpoint: CheckpointFile) -> bool:
    """Says whether a file fills the whole of a card's network, alternatives aside."""
    try:
        trunk = _shapes(card.network.model_dump_json())
    except BenchError:  # a card whose package is not installed must not keep the others from being found
        return False
    return best_fit(card, checkpoint, Blueprint.of(card, trunk)).coverage.complete


def fills_any(card: AdapterCard, checkpoint: CheckpointFile) -> bool:
    """Says whether a file fills the card's network or one of its alternatives."""
    return any(fills(variant, checkpoint) for variant in _plausible(_variants(card), checkpoint))


def allows(card: AdapterCard, network: Network) -> bool:
    """Says whether a network is the card's or one of its alternatives."""
    return any(variant.network == network for variant in _variants(card))


def _variants(card: AdapterCard) -> list[AdapterCard]:
    networks = [Network(source=card.network.source, options=card.network.options)]
    networks += [Network(source=item.source, options=item.options) for item in card.network.alternatives]
    return [card.model_copy(update={"network": network}) for network in networks]


def _plausible(variants: list[AdapterCard], checkpoint: CheckpointFile) -> list[AdapterCard]:
    """Leaves out transformers for a file without patch embedding: importing timm takes seconds."""
    if any("patch_embed" in name for name in checkpoint.names()):
        return variants
    return variants[:1] + [item for item in variants[1:] if not item.network.source.startswith("timm:vit_")]


def _with_own_size(card: AdapterCard) -> AdapterCard:
    own = own_input(card.network)
    if own is None:
        return card
    return card.model_copy(update={"input": card.input.model_copy(update={"height": own[0], "width": own[1]})})


@cache
def _shapes(network: str) -> nn.Module:
    described = Network.model_validate_json(network)
    try:
        with torch.device("meta"):
            return build_trunk(described)
    except BenchError:
        raise
    except Exception:  # noqa: BLE001  a constructor that computes needs real tensors
        return build_trunk(described)
