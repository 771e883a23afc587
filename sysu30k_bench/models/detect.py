"""Finding the adapter card of a checkpoint from the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.backbones import allows, fills_any
from sysu30k_bench.models.card import AdapterCard, Layout
from sysu30k_bench.models.cards import all_cards
from sysu30k_bench.models.checkpoint import CheckpointFile
from sysu30k_bench.models.layouts import card_layouts, layout_fits


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
    readable = [card for card in candidates if fills_any(card, checkpoint)]
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


def explain(chosen: AdapterCard, checkpoint: CheckpointFile) -> str:
    """Says by what a card was found, and which other cards of the same network would take the file too.

    Args:
        chosen: The card, settled on one network.
        checkpoint: The file.
    """
    layout = next(layout for layout in card_layouts(chosen) if _shows(layout, chosen, checkpoint))
    tensors, others = checkpoint.tensors(layout.wrapper)
    found = [next(name for name in [*tensors, *others] if re.fullmatch(mark, name)) for mark in layout.requires]
    marks = ", ".join(name.removeprefix("@") for name in found)
    rivals = [card for card in all_cards().values() if card.name != chosen.name and allows(card, chosen.network)]
    also = ", ".join(card.name for card in rivals if fills_any(card, checkpoint))
    return (
        f"recognised by {marks or 'its tensors'} ({layout.title or layout.name})"
        f"{f'; {also} would take it too' if also else ''}"
    )


def _recognises(card: AdapterCard, checkpoint: CheckpointFile) -> bool:
    return any(_shows(layout, card, checkpoint) for layout in card_layouts(card)) and fills_any(card, checkpoint)


def _shows(layout: Layout, card: AdapterCard, checkpoint: CheckpointFile) -> bool:
    if layout.name not in card.checkpoint.recognised_by:
        return False
    tensors, others = checkpoint.tensors(layout.wrapper)
    return layout_fits(layout, [*tensors, *others])
