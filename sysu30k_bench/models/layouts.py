"""Known checkpoint layouts, and how one maps a file's keys onto a network's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import TypeVar

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.card import AdapterCard, Layout

Value = TypeVar("Value")


@cache
def known_layouts() -> dict[str, Layout]:
    """Returns the layouts of `layouts.toml` by name."""
    text = resources.files("sysu30k_bench.models").joinpath("layouts.toml").read_text("utf-8")
    return {name: Layout.model_validate({"name": name, **value}) for name, value in tomllib.loads(text).items()}


def card_layouts(card: AdapterCard) -> list[Layout]:
    """Returns the layouts that a card reads, its own first; a card that names none reads all that are known.

    Raises:
        UsageError: The card names a layout that nobody knows.
    """
    known = known_layouts()
    unknown = [name for name in card.checkpoint.layouts if name not in known]
    if unknown:
        raise UsageError(
            f"the card {card.name!r} names unknown layouts: {', '.join(unknown)}",
            hint=f"known are {', '.join(known)}; or describe the layout in the card with [[checkpoint.layout]]",
        )
    named = [known[name] for name in card.checkpoint.layouts]
    return [*card.checkpoint.layout, *named] or list(known.values())


def layout_fits(layout: Layout, keys: Iterable[str]) -> bool:
    """Says whether a file's keys are those that a layout describes.

    Args:
        layout: The layout.
        keys: The file's tensor names, and `@name` for each of its other top-level entries.
    """
    names = list(keys)
    required = all(any(re.fullmatch(pattern, name) for name in names) for pattern in layout.requires)
    return required and not any(re.fullmatch(pattern, name) for pattern in layout.forbids for name in names)


def apply_layout(layout: Layout, tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Renames a file's tensors to the network's names.

    Args:
        layout: The layout.
        tensors: Tensors by the file's names.

    Returns:
        Tensors by the network's names; those outside `take` are left out.

    Raises:
        IntegrityError: Two tensors of the file get the same name.
    """
    renamed: dict[str, Value] = {}
    origin: dict[str, str] = {}
    for key, value in tensors.items():
        if not key.startswith(layout.take):
            continue
        name = _rename(layout, key[len(layout.take) :])
        if name in renamed:
            raise IntegrityError(f"layout {layout.name!r}: {origin[name]} and {key} both become {name}")
        renamed[name], origin[name] = value, key
    return renamed


def _rename(layout: Layout, key: str) -> str:
    for pattern, replacement in layout.rename:
        new, count = re.subn(pattern, replacement, key, count=1)
        if count:
            return new
    return key
