"""Finding the adapter card of a checkpoint from the names of its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from torch import nn

from sysu30k_bench.errors import BenchError, UsageError
from sysu30k_bench.models.card import AdapterCard, Network
from sysu30k_bench.models.cards import all_cards
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.layouts import card_layouts, layout_fits
from sysu30k_bench.models.load import Blueprint, best_fit
from sysu30k_bench.models.sources import build_trunk


def detect_card(checkpoint: CheckpointFile, cards: Iterable[AdapterCard] | None = None) -> AdapterCard:
    """Finds the one card that a file is recognised by.

    A card is recognised where one of its `recognised_by` layouts fits the file's names and the file fills the card's
    whole network.

    Args:
        checkpoint: The file.
        cards: The cards to try; all that are installed where None.

    Returns:
        The card.

    Raises:
        UsageError: No card, or more than one, is recognised; the message lists what to choose from.
    """
    candidates = list(all_cards().values() if cards is None else cards)
    recognised = [card for card in candidates if _recognises(card, checkpoint)]
    if len(recognised) == 1:
        return recognised[0]
    if recognised:
        raise UsageError(
            f"{checkpoint.path} could be any of: {', '.join(card.name for card in recognised)}",
            details=[f"--adapter {card.name}: {card.title}" for card in recognised],
            hint="name the one it is with --adapter",
        )
    readable = [card for card in candidates if _fills(card, checkpoint)]
    tensors, _ = checkpoint.tensors()
    names = ", ".join(list(tensors)[:4]) or "no tensor"
    if readable:
        raise UsageError(
            f"{checkpoint.path} does not say by which method it was made (its tensors: {names}, ...)",
            details=[f"--adapter {card.name}: {card.title}" for card in readable],
            hint="name the method with --adapter, or the network alone with --model torchvision:resnet50",
        )
    raise UsageError(
        f"no adapter knows {checkpoint.path} ({len(tensors)} tensors: {names}, ...)",
        hint="name its network with --model torchvision:NAME or timm:NAME, or write a card (docs/adapters.md)",
    )


def second_best(chosen: AdapterCard, checkpoint: CheckpointFile) -> str:
    """Names the other installed cards of the same network that a file would fill too; empty where there is none."""
    rivals = [card for card in all_cards().values() if card.name != chosen.name and card.network == chosen.network]
    return ", ".join(card.name for card in rivals if _fills(card, checkpoint))


def _recognises(card: AdapterCard, checkpoint: CheckpointFile) -> bool:
    for layout in card_layouts(card):
        if layout.name in card.checkpoint.recognised_by:
            tensors, others = checkpoint.tensors(layout.wrapper)
            if layout_fits(layout, [*tensors, *others]) and _fills(card, checkpoint):
                return True
    return False


def _fills(card: AdapterCard, checkpoint: CheckpointFile) -> bool:
    try:
        trunk = _trunk(card.network.model_dump_json())
    except BenchError:  # a card whose package is not installed must not keep the others from being found
        return False
    return best_fit(card, checkpoint, Blueprint.of(card, trunk)).coverage.complete


@cache
def _trunk(network: str) -> nn.Module:
    return build_trunk(Network.model_validate_json(network))
