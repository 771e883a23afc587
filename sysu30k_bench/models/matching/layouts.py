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
from sysu30k_bench.models.matching.flat_tensors import FlatTensors, is_plain

Value = TypeVar("Value")


@cache
def known_layouts() -> dict[str, Layout]:
    """Returns the layouts of `layouts.toml` by name."""
    text = resources.files("sysu30k_bench.models.matching").joinpath("layouts.toml").read_text("utf-8")
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


def layout_prefixes(layout: Layout, flat: FlatTensors) -> list[str]:
    """Returns every prefix of a file below which the tensors are those that a layout describes.

    Args:
        layout: The layout; one that requires nothing may begin wherever a mapping of the file does, below what all of
            its names share, and where they part.
        flat: The file's tensors.
    """
    marks = [pattern for pattern in layout.requires if pattern.startswith("@")]
    patterns = [pattern for pattern in layout.requires if not pattern.startswith("@")]
    if not all(flat.has_entry(mark[1:]) for mark in marks):
        return []
    if layout.wrapper:
        prefixes = [f"{layout.wrapper}."]
    elif patterns:
        prefixes = flat.prefixes_matching(_anchor(patterns))
    elif layout.take:
        prefixes = [prefix for prefix in flat.openings if flat.has_below(prefix + layout.take)]
    else:
        prefixes = list(flat.openings)
    return [prefix for prefix in prefixes if _describes(layout, patterns, list(flat.below(prefix)))]


def _anchor(patterns: list[str]) -> str:
    """The pattern that finds the prefix: the first plain name, which is found at once, or else the first one."""
    return next((pattern for pattern in patterns if is_plain(pattern)), patterns[0])


def _describes(layout: Layout, patterns: Iterable[str], names: list[str]) -> bool:
    if not names or not all(any(re.fullmatch(pattern, name) for name in names) for pattern in patterns):
        return False
    return not any(re.fullmatch(pattern, name) for pattern in layout.forbids for name in names)


def apply_layout(layout: Layout, tensors: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, str]]:
    """Renames a file's tensors to the network's names.

    Args:
        layout: The layout.
        tensors: Tensors by the file's names below the layout's prefix.

    Returns:
        Tensors by the network's names, those outside `take` left out; and the file's name of each.

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
    return renamed, origin


def _rename(layout: Layout, key: str) -> str:
    for pattern, replacement in layout.rename:
        new, count = re.subn(pattern, replacement, key, count=1)
        if count:
            return new
    return key
