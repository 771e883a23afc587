"""How well a file fills a card's network: every layout at every prefix, and the best of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.models.card import AdapterCard, Input, Layout, Network
from sysu30k_bench.models.formats.checkpoint import CheckpointFile
from sysu30k_bench.models.matching.blueprint import BOTTLENECK, LOGITS, Blueprint, blueprint_of, settle
from sysu30k_bench.models.matching.files_beside import with_files_beside
from sysu30k_bench.models.matching.flat_tensors import FlatTensors
from sysu30k_bench.models.matching.layouts import apply_layout, card_layouts, layout_prefixes
from sysu30k_bench.models.matching.leftovers import other_copies, unexplained
from sysu30k_bench.models.matching.roles import chosen_by, rank_of
from sysu30k_bench.models.sources import own_input, structure_reader
from sysu30k_bench.words import count

_SHOWN_PARTS = 6
_MOST_PLACES = 32


WHOLE_MODEL = "whole model"
"""Name of the layout of a file that holds its own network, and is run as it is."""


@dataclass(frozen=True)
class Coverage:
    """How much of the network came from the file.

    Attributes:
        layout: Name of the layout that was read.
        layout_digest: Digest of what that layout does, and of the prefix below which it was read.
        loaded: Tensors of the network that the file filled.
        missing: Tensors of the network that the file lacks (batch counters aside).
        wrong_shape: Tensors that are in the file with another shape, described.
        unused: Tensors of the file that the feature does not need: bookkeeping, training heads, other copies.
        foreign: Tensors of the file that the network has no place for and that nothing explains: the file is of a
            deeper or a different network.
    """

    layout: str
    layout_digest: str
    loaded: int
    missing: list[str] = field(default_factory=list)
    wrong_shape: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network came from the file, and the file holds no more of a model."""
        return self.loaded > 0 and not self.missing and not self.wrong_shape and not self.foreign

    @property
    def gaps(self) -> str:
        """What an incomplete coverage means for the embedding; empty where it is complete."""
        random, foreign = len(self.missing) + len(self.wrong_shape), len(self.foreign)
        parts = []
        if random:
            parts.append(f"{count(random, 'tensor of the network stays', 'tensors of the network stay')} random")
        if foreign:
            parts.append(f"{count(foreign, 'tensor of the file is', 'tensors of the file are')} left out")
        return ", ".join(parts)

    @property
    def faults(self) -> list[str]:
        """What keeps the coverage from being complete, a line for each tensor."""
        return [
            *self.wrong_shape,
            *(f"{name}: missing" for name in self.missing),
            *(f"{name}: in the file, and the network has no place for it" for name in self.foreign),
        ]


@dataclass(frozen=True)
class Fit:
    """A card on a file.

    Attributes:
        card: The card, settled on one network, with the options and the input size that the file shows.
        layout: The layout that was read.
        prefix: Where in the file, empty or ending in a dot.
        tensors: The file's tensors by the network's names; those that fit.
        coverage: How much of the network they fill.
        notes: What was assumed where the file does not tell.
        copies: Prefixes of other copies of the same network in the file.
    """

    card: AdapterCard
    layout: Layout
    prefix: str
    tensors: dict[str, torch.Tensor]
    coverage: Coverage
    notes: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        """How many tensors the network has."""
        return self.coverage.loaded + len(self.coverage.missing) + len(self.coverage.wrong_shape)


def best_fit(card: AdapterCard, checkpoint: CheckpointFile, weights: str | None = None) -> Fit | None:
    """Returns the best way of filling a card's network from a file; None where no layout of it fits anywhere.

    Of several complete ways, the first of the card's networks and layouts is taken, and of several copies the one that
    the project reports (`roles`).

    Args:
        card: The card; its network, then its alternatives in their order.
        checkpoint: The file.
        weights: Which of several copies: `raw`, `ema`, `teacher`, ... or a prefix; None for the project's own choice.
    """
    best: Fit | None = None
    for fit in _fits(card, checkpoint, weights, marked=False):
        if fit.coverage.complete:
            return fit
        if best is None or fit.coverage.loaded > best.coverage.loaded:
            best = fit
    return best


def recognised_fit(card: AdapterCard, checkpoint: CheckpointFile, weights: str | None = None) -> Fit | None:
    """Returns the first complete fit by one of the layouts by which a card is recognised; None where there is none."""
    return next((fit for fit in _fits(card, checkpoint, weights, marked=True) if fit.coverage.complete), None)


def _fits(card: AdapterCard, checkpoint: CheckpointFile, weights: str | None, *, marked: bool) -> Iterator[Fit]:
    layouts = [item for item in card_layouts(card) if not marked or item.name in card.checkpoint.marks]
    layouts = [item for item in layouts if not item.file or re.fullmatch(item.file, checkpoint.path.name)]
    for number, variant in enumerate(_variants(card)):
        places = [(item, prefix) for item in layouts for prefix in _prefixes(item, variant, checkpoint.flat)]
        if weights is not None:
            allowed = set(chosen_by(weights, (prefix + layout.take for layout, prefix in places)))
            places = [(layout, prefix) for layout, prefix in places if prefix + layout.take in allowed]
        for layout, prefix in sorted(places, key=lambda place: rank_of(place[1]))[:_MOST_PLACES]:
            fit = _fit(variant, checkpoint, layout, prefix, chosen=weights is not None)
            if fit is not None:
                yield fit if number == 0 else _with_own_size(fit)


def _prefixes(layout: Layout, card: AdapterCard, flat: FlatTensors) -> list[str]:
    """A layout that requires and renames nothing fits wherever the network's own names are."""
    found = layout_prefixes(layout, flat)
    if layout.requires or layout.rename or structure_reader(card.network) is not None:
        return found
    blueprint = blueprint_of(card)
    if blueprint is None or not blueprint.trunk:
        return found
    longest = max(blueprint.trunk, key=len)
    return list(dict.fromkeys([*found, *flat.prefixes_of(longest)]))


def _fit(card: AdapterCard, checkpoint: CheckpointFile, layout: Layout, prefix: str, *, chosen: bool) -> Fit | None:
    flat = checkpoint.flat
    try:
        renamed, origin = apply_layout(layout, flat.below(prefix))
    except IntegrityError:
        return None
    settled = settle(card, renamed, checkpoint.architecture)
    if settled is None:
        return None
    card, notes = settled
    card, told = with_files_beside(card, checkpoint.path)
    blueprint = blueprint_of(card)
    if blueprint is None:
        return None
    matched, missing, wrong = _compare(blueprint, renamed)
    if not matched:
        return None
    used = [origin[name] for name in matched]
    removed = {file_name for name, file_name in origin.items() if _is_removed(name, renamed[name], blueprint.removed)}
    removed |= {origin[name] for name in (*BOTTLENECK, *LOGITS) if name in origin and name != origin[name]}
    foreign, unused, guessed = unexplained(flat, layout, prefix, used, removed=removed, chosen=chosen)
    digest = sha256_of_text(f"{prefix} {layout.model_dump_json()}")
    coverage = Coverage(layout.name, digest, len(matched), missing, wrong, unused, foreign)
    copies = other_copies(flat, prefix, used) if coverage.complete else []
    return Fit(card, layout, prefix, matched, coverage, [*notes, *told, *_said_of(guessed)], copies)


def _said_of(guessed: Mapping[str, int]) -> list[str]:
    if not guessed:
        return []
    parts = ", ".join(f"{part} ({count(number, 'tensor')})" for part, number in list(guessed.items())[:_SHOWN_PARTS])
    more = f" and {len(guessed) - _SHOWN_PARTS} more" if len(guessed) > _SHOWN_PARTS else ""
    return [f"left aside as parts that training alone uses, by their names: {parts}{more}"]


def _compare(
    blueprint: Blueprint, renamed: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str], list[str]]:
    matched: dict[str, torch.Tensor] = {}
    missing, wrong = [], []
    wanted: dict[str, tuple[int, ...] | None] = {**dict.fromkeys(blueprint.head), **blueprint.trunk}
    for name, shape in wanted.items():
        if name not in renamed:
            missing.append(name)
        elif shape is not None and tuple(renamed[name].shape) != shape:
            wrong.append(f"{name}: the file has {tuple(renamed[name].shape)}, the network has {shape}")
        else:
            matched[name] = renamed[name]
    return matched, missing, wrong


def _is_removed(name: str, value: torch.Tensor, removed: frozenset[str]) -> bool:
    parent, _, leaf = name.rpartition(".")
    return parent in removed and (value.dim(), leaf) in {(2, "weight"), (1, "bias")}


def _variants(card: AdapterCard) -> list[AdapterCard]:
    own = Network(source=card.network.source, options=card.network.options)
    variants = [card.model_copy(update={"network": own})]
    for item in card.network.alternatives:
        network = Network(source=item.source, options=item.options)
        seen = Input.model_validate({**card.input.model_dump(), **item.input})
        variants.append(card.model_copy(update={"network": network, "input": seen}))
    return variants


def _with_own_size(fit: Fit) -> Fit:
    own = own_input(fit.card.network) if fit.coverage.complete else None
    if own is None:
        return fit
    size = fit.card.input.model_copy(update={"height": own[0], "width": own[1]})
    return Fit(
        fit.card.model_copy(update={"input": size}),
        fit.layout,
        fit.prefix,
        fit.tensors,
        fit.coverage,
        fit.notes,
        fit.copies,
    )
