"""Finding adapter cards: those of this package, those of installed packages, and files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.plain_toml import MAX_BYTES, parse_toml

ENTRY_POINT_GROUP = "sysu30k_bench.adapters"


@cache
def all_cards() -> dict[str, AdapterCard]:
    """Returns every card that is installed, by name: this package's, then those of other packages.

    Another package brings a card by an entry point of the group `sysu30k_bench.adapters` that names an `AdapterCard`
    or the path of a TOML file. It cannot take a name that is already used.

    Raises:
        UsageError: A card is not valid, or a name is used twice.
    """
    cards: dict[str, AdapterCard] = {}
    for item in _card_files(resources.files("sysu30k_bench.adapters")):
        card = parse_card(item.read_text("utf-8"), item.name)
        if card.name in cards:
            raise UsageError(f"{item.name} is a second card named {card.name!r}")
        cards[card.name] = card
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            value = point.load()
            card = value if isinstance(value, AdapterCard) else read_card(Path(value))
        except Exception as error:
            raise UsageError(
                f"the installed package behind the entry point {point.name} = {point.value} brings no card: {error}",
                hint="repair or uninstall that package",
            ) from error
        if card.name in cards:
            raise UsageError(f"the entry point {point.name} brings a second card named {card.name!r}")
        cards[card.name] = card
    return cards


def _card_files(folder: Traversable) -> Iterator[Traversable]:
    """Yields the cards of a folder, then those of the folders in it, a folder for each family."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    yield from (entry for entry in entries if entry.name.endswith(".toml"))
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith(("_", ".")):
            yield from _card_files(entry)


def find_card(name_or_path: str) -> AdapterCard:
    """Returns the card of a name, or reads one from a file whose name ends in `.toml`.

    Raises:
        UsageError: Nothing has that name, or the file is not a card.
        DataError: There is no such file.
    """
    if name_or_path.endswith(".toml"):
        return read_card(Path(name_or_path))
    cards = all_cards()
    if name_or_path not in cards:
        plain = re.sub(r"[\s-]+", "_", name_or_path.strip().casefold())
        close = [plain] if plain in cards else difflib.get_close_matches(plain, cards, n=3)
        hint = "`sysu30k-bench adapters list` shows them all; or give a file.toml"
        if close:
            hint = f"did you mean {', '.join(close)}?"
        raise UsageError(f"there is no adapter {name_or_path!r}", hint=hint)
    return cards[name_or_path]


def read_card(path: Path) -> AdapterCard:
    """Reads a card from a TOML file.

    Raises:
        DataError: There is no such file.
        UsageError: It is not TOML, or not a card; each fault is listed.
    """
    if not path.is_file():
        raise DataError(f"there is no adapter card {path}")
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path} is too large for an adapter card")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
    return parse_card(text, str(path))


def parse_card(text: str, origin: str) -> AdapterCard:
    """Parses and validates a card.

    Args:
        text: TOML.
        origin: Where it came from, for messages.

    Raises:
        UsageError: It is not TOML, or not a card; each fault is listed.
    """
    try:
        return AdapterCard.model_validate(parse_toml(text))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'card'}: {fault['msg']}" for fault in error.errors()
        ]
        raise UsageError(f"{origin} is not an adapter card", details=faults, hint="see docs/adapters.md") from error
    except ValueError as error:
        raise UsageError(f"{origin} is not TOML: {error}") from error
