"""Arguments that are no arrays: paths, whole numbers, fractions; named where they are wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast, get_args

import numpy as np

from sysu30k_bench.errors import UsageError
from sysu30k_bench.search.engines.choose import EngineName
from sysu30k_bench.words import with_article


def path_of(name: str, value: object) -> Path:
    """Takes a path.

    Args:
        name: The argument, for messages.
        value: A text or a path.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise UsageError(f"{name} is {with_article(type(value).__name__)}; it is a path")


def whole_number(name: str, value: object) -> int:
    """Takes a whole number from 1.

    Args:
        name: The argument, for messages.
        value: The number.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UsageError(f"{name} is {value!r}; it is a whole number from 1")
    return int(value)


def engine_name(value: object) -> EngineName:
    """Takes the name of a search engine.

    Args:
        value: `auto`, `faiss` or `torch`.

    Raises:
        UsageError: It is something else.
    """
    for known in get_args(EngineName):
        if value == known:
            return cast(EngineName, known)
    raise UsageError(f"engine is {value!r}", hint="auto, faiss or torch")


def fraction(name: str, value: object) -> float:
    """Takes a number between 0 and 1.

    Args:
        name: The argument, for messages.
        value: The number.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not 0 <= value <= 1:
        raise UsageError(f"{name} is {value!r}; it is a fraction: 0.01 is a point")
    return float(value)
