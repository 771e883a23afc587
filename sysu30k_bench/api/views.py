"""What a network in memory sees: the `transform` of `evaluate`, resolved."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sysu30k_bench.api.transformed import ImageTransform
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding.model import described_input
from sysu30k_bench.models.card import AdapterCard, Feature, Flip, Input, Network
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.words import with_article

_AS_GIVEN = Input(scale="byte", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class View:
    """How an image becomes what a network sees.

    Attributes:
        card: Stands for the network: its input and its mirrored view.
        prepare: The caller's own function, in place of the card's input.
        words: The same for people.
    """

    card: AdapterCard
    prepare: ImageTransform | None
    words: str


def view_of(transform: str | ImageTransform | None, settings: Mapping[str, Any], flip: Flip | None, title: str) -> View:
    """Resolves what the caller said about images.

    Args:
        transform: Name of a card or path of a `.toml`, whose input and mirrored view are taken; or a function.
        settings: Keys of a card's `[input]`, which replace the card's.
        flip: Treatment of the mirrored view; the card's where None, and `none` where no card is named.
        title: What the network is, for people.

    Raises:
        UsageError: Nothing was said, or no card has that name, or a setting is none.
    """
    if transform is None and not settings:
        raise UsageError(
            "transform is missing: it prepares the images for this network",
            hint="name a card (transform='resnet50'), give height=, width=, mean=, std=, or pass a function from a PIL "
            "image to a tensor",
        )
    if callable(transform):
        if settings:
            raise UsageError(f"{', '.join(settings)}: transform is a function, which alone prepares the images")
        feature = Feature(flip=flip or "none")
        return View(_card(_AS_GIVEN, feature, title), transform, f"as {_name(transform)} gives it")
    if transform is not None and not isinstance(transform, str):
        raise UsageError(
            f"transform is {with_article(type(transform).__name__)}", hint="a card's name, or a function of a PIL image"
        )
    named = find_card(transform) if transform is not None else None
    base = named.input if named is not None else Input()
    try:
        size = Input.model_validate({**base.model_dump(), **settings})
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(f"{fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}") from error
    view = flip or (named.feature.flip if named is not None else "none")
    card = _card(size, Feature(flip=view), title)
    return View(card, None, described_input(card))


def _card(size: Input, feature: Feature, title: str) -> AdapterCard:
    network = Network(source="features:memory")
    return AdapterCard(name="in-memory", title=title[:200], network=network, input=size, feature=feature)


def _name(function: ImageTransform) -> str:
    name = getattr(function, "__qualname__", None) if inspect.isroutine(function) else None
    return str(name or type(function).__name__)
