"""TOML as people write cards, recipes and settings; anything that only an adversary would write is refused."""

from __future__ import annotations

import tomllib
from typing import Any

MAX_BYTES = 1 << 20
_MAX_DEPTH = 32
_MAX_DOTS = 256
_LEAST, _MOST = -(2**63), 2**63 - 1


def parse_toml(text: str) -> dict[str, Any]:
    """Reads a TOML document.

    Args:
        text: The document.

    Raises:
        ValueError: It is not TOML, or too large, nested more than 32 deep, or holds numbers of more than 64 bits.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it has {len(text):,} characters; {MAX_BYTES:,} are allowed")
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):  # tomllib takes the square of a key's parts
        raise ValueError(f"a line has more than {_MAX_DOTS} dots")
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise ValueError("it holds a number of too many digits") from None
    _check(values)
    return values


def parse_value(text: str) -> Any:  # noqa: ANN401  whatever TOML can hold
    """Reads a single value, as it would stand behind `key =`.

    Raises:
        ValueError: It is none.
    """
    values = parse_toml(f"value = {text}")
    if list(values) != ["value"]:
        raise ValueError("it is more than one value")
    return values["value"]


def _check(values: dict[str, Any]) -> None:
    waiting: list[tuple[Any, int]] = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif isinstance(value, int) and not _LEAST <= value <= _MOST:
            raise ValueError("it holds a whole number of more than 64 bits")
