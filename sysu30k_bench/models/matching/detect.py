"""Finding the adapter card of a checkpoint from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import all_cards
from sysu30k_bench.models.formats.checkpoint import CheckpointFile
from sysu30k_bench.models.matching.fit import Fit, best_fit, recognised_fit
from sysu30k_bench.words import count

_NEAREST = 3
_SHOWN_GROUPS = 6


@dataclass(frozen=True)
class Detected:
    """A card that was found.

    Attributes:
        card: The card as it was written.
        fit: The card on the file.
        rivals: Other cards that would take the whole file, too.
    """

    card: AdapterCard
    fit: Fit
    rivals: tuple[str, ...] = ()


def detect_card(
    checkpoint: CheckpointFile, cards: Iterable[AdapterCard] | None = None, weights: str | None = None
) -> Detected:
    """Finds the one card that a file is recognised by.

    A card is recognised where one of its `recognised_by` layouts fits the file's names, the file fills the card's
    whole network, and nothing of a model remains. Between several, the one that uses most of the file wins, then the
    one whose layout accounts for more of the names (its prefix is shorter), then the one whose layout asks for most.

    Args:
        checkpoint: The file.
        cards: The cards to try; all that are installed where None.
        weights: Which of several copies in the file, as for `best_fit`.

    Raises:
        UsageError: No card, or more than one, is recognised; the message lists what to choose from.
    """
    candidates = list(all_cards().values() if cards is None else cards)
    found = [(card, fit) for card in candidates if (fit := recognised_fit(card, checkpoint, weights)) is not None]
    if not found:
        raise _unknown(checkpoint, candidates, weights)
    found.sort(key=lambda item: _strength(item[1]), reverse=True)
    best = [(card, fit) for card, fit in found if _strength(fit) == _strength(found[0][1])]
    if not all(_same_embedding(best[0][1], fit) for _, fit in best):
        raise UsageError(
            f"{checkpoint.path} could be any of: {', '.join(card.name for card, _ in best)}",
            details=[
                f"--adapter {card.name}: {card.title}{f'; {card.notes}' if card.notes else ''}" for card, _ in best
            ],
            hint="choose one with --adapter",
        )
    return Detected(best[0][0], best[0][1], tuple(card.name for card, _ in found[1:]))


def explain(detected: Detected, checkpoint: CheckpointFile) -> str:
    """Says by what a card was found, and which other cards would take the file too."""
    layout, names = detected.fit.layout, list(checkpoint.flat.below(detected.fit.prefix))
    marks = [
        next((name for name in checkpoint.flat.entries if re.fullmatch(mark[1:], name)), "")
        if mark.startswith("@")
        else next((name for name in names if re.fullmatch(mark, name)), "")
        for mark in layout.requires
    ]
    shown = ", ".join(mark for mark in marks if mark) or "its tensors"
    also = f"; {', '.join(detected.rivals)} would also fit" if detected.rivals else ""
    return f"recognised by {shown} ({layout.title or layout.name}){also}"


def _same_embedding(one: Fit, other: Fit) -> bool:
    """Two programs may write the same file and mean the same by it."""
    return (
        (one.card.network, one.card.input, one.card.feature)
        == (other.card.network, other.card.input, other.card.feature)
        and one.tensors.keys() == other.tensors.keys()
        and all(value is other.tensors[name] for name, value in one.tensors.items())
    )


def _strength(fit: Fit) -> tuple[bool, int, int, int]:
    asked = len(fit.layout.requires) + bool(fit.layout.file)
    return not fit.layout.fallback, fit.coverage.loaded, -fit.prefix.count("."), asked


def _unknown(checkpoint: CheckpointFile, candidates: list[AdapterCard], weights: str | None) -> UsageError:
    if weights is not None:
        found = [fit for card in candidates if (fit := recognised_fit(card, checkpoint)) is not None]
        if found:
            return _no_such_copy(checkpoint, max(found, key=_strength), weights)
    fits = [(card, fit) for card in candidates if (fit := best_fit(card, checkpoint, weights)) is not None]
    whole = [card for card, fit in fits if fit.coverage.complete]
    groups = [f"{name}: {count(number, 'tensor')}" for name, number in checkpoint.flat.groups()[:_SHOWN_GROUPS]]
    if whole:
        return UsageError(
            f"{checkpoint.path} does not contain the method by which it was made",
            details=[f"--adapter {card.name}: {card.title}" for card in whole],
            hint="name the method with --adapter, or only the network with --model torchvision:resnet50",
        )
    near = sorted(
        fits, key=lambda item: (-item[1].coverage.loaded / max(1, item[1].wanted), len(item[1].coverage.faults))
    )
    near = near[:_NEAREST]
    odd = list(checkpoint.flat.unread.items())[:_SHOWN_GROUPS]
    unread = [f"{name}: not read, for it is no plain tensor ({kind})" for name, kind in odd]
    if not checkpoint.flat.tensors:
        entries = ", ".join(sorted(checkpoint.flat.entries)[:_SHOWN_GROUPS]) or "nothing"
        return UsageError(
            f"{checkpoint.path} holds no weights ({entries})",
            hint="give the file that holds the state dict",
        )
    lines = [
        f"nearest: {card.name}, {fit.coverage.loaded} of {count(fit.wanted, 'tensor')}{_first_fault(fit)}"
        for card, fit in near
    ]
    return UsageError(
        f"no adapter knows {checkpoint.path} ({count(len(checkpoint.flat.tensors), 'tensor')})",
        details=[*groups, *lines, *unread],
        hint=_what_to_do(fits),
    )


def _no_such_copy(checkpoint: CheckpointFile, fit: Fit, weights: str) -> UsageError:
    taken = (fit.prefix + fit.layout.take).strip(".")
    names = [name.strip(".") or "the file's own level" for name in (taken, *fit.copies)]
    held = f"it holds one set of weights, at {names[0]}" if len(names) == 1 else f"it holds {', '.join(names)}"
    return UsageError(
        f"{checkpoint.path} has no weights {weights!r}: {held}",
        hint="omit --weights" if len(names) == 1 else "name one of them with --weights",
    )


def _what_to_do(near: list[tuple[AdapterCard, Fit]]) -> str:
    """A file that fills a card's network and holds more is of a network with a part that the card's lacks."""
    filled = [fit for _, fit in near if not fit.coverage.missing and not fit.coverage.wrong_shape]
    if filled:
        # several methods share a network: a card of no method adds nothing of one
        more = next((fit for fit in filled if fit.card.supervision == "generalization"), filled[0])
        return (
            f"the network of adapter {more.card.name} takes the file, but for {more.coverage.foreign[0]}: write a card "
            'of the whole network, source = "python:package.module:callable" (docs/adapters.md), or leave it out: '
            f"--adapter {more.card.name} --allow-partial, which is never official"
        )
    return "name its network with --model torchvision:NAME or timm:NAME, or write a card (docs/adapters.md)"


def _first_fault(fit: Fit) -> str:
    faults = fit.coverage.faults
    return f" (first fault: {faults[0]})" if faults else ""
