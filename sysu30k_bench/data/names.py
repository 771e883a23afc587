"""Identity and camera, as the file names of each benchmark give them."""

from __future__ import annotations

import re
from typing import NamedTuple

SYSU30K_DISTRACTOR = -1000
"""Label of SYSU-30k's `0000others`: ranked, and nobody's match."""

MARKET1501_DISTRACTOR = 0
"""Label of Market-1501's `0000` images: ranked, and nobody's match."""

JUNK = -1
"""Label of images that are taken out of every ranking."""

_SYSU30K = re.compile(r"(?P<person>[^_]+)_c(?P<camera>[0-9]{1,9})(?![0-9])")
_MARKET1501 = re.compile(r"(?P<person>-1|[0-9]{1,18})_c(?P<camera>[0-9]{1,9})(?![0-9])")
_IDENTITY = re.compile(r"[0-9]{1,18}")


class Labels(NamedTuple):
    """What a file name says."""

    person_id: int
    camera_id: int


def parse_sysu30k(name: str) -> Labels | None:
    """Reads a SYSU-30k test name such as `000028311_c1_1.jpg` or `0000others_c1_17.jpg`.

    The identity is the part before the first underscore; one that begins with `0000others` is a distractor. The camera
    is the whole number after `_c`: the authors' script took the one character after the first `c` of the name, which
    is the same on every published name and wrong for camera 12.

    Args:
        name: The file's base name.

    Returns:
        The labels, or None where the name does not follow the rule.
    """
    match = _SYSU30K.match(name)
    if match is None:
        return None
    person = match["person"]
    if person.startswith("0000others"):
        return Labels(SYSU30K_DISTRACTOR, int(match["camera"]))
    if _IDENTITY.fullmatch(person) is None:
        return None
    return Labels(int(person), int(match["camera"]))


def parse_market1501(name: str) -> Labels | None:
    """Reads a Market-1501 name such as `0002_c1s1_000451_03.jpg`; `0000` is a distractor and `-1` is junk.

    Args:
        name: The file's base name.

    Returns:
        The labels, or None where the name does not follow the rule.
    """
    match = _MARKET1501.match(name)
    return None if match is None else Labels(int(match["person"]), int(match["camera"]))
