"""Whether two names are one to a reader, however they are written."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from sysu30k_bench.board.checks.confusables import LIKE

_LIKE = {letter: plain for plain, letters in LIKE.items() for letter in letters}
_LIKE |= dict.fromkeys("\u4e28\u3163\u1175", "l") | {"\u00f0": "d"}
_MARKED = re.compile(r"LATIN (?:SMALL LETTER|CAPITAL LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .*)?")
_ALIKE = str.maketrans({"i": "l", "1": "l", "0": "o"})
_PAIRS = (("rn", "m"), ("vv", "w"))
_DROPPED = {"Zs", "Zl", "Zp", "Pd", "Pc", "Cf", "Cc"}
_AROUND = ".,;:'\"!?()[]{}\u2018\u2019\u201c\u201d"


@lru_cache(4096)
def name_key(name: str) -> str:
    """Reduces a name to what a reader sees of it: equal keys are names that pass for each other.

    Compatibility forms (full width, bold letters), accents, case, spaces, dashes and underscores are taken away;
    letters and digits of other scripts become those of ASCII that they look like; i, l and 1 are one, as are o and 0.

    Args:
        name: Any text.

    Returns:
        Its key; empty where nothing can be seen.
    """
    seen = [_seen(letter) for letter in unicodedata.normalize("NFKD", "".join(map(_like, name)))]
    key = "".join(seen).casefold().translate(_ALIKE).strip(_AROUND)
    for pair, one in _PAIRS:
        key = key.replace(pair, one)
    return key


@lru_cache(4096)
def address_key(text: str) -> str:
    """Reduces a source or a link to its letters and digits, so that slashes, `www.` and capitals make no other one."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    for part in ("https://", "http://", "www."):
        folded = folded.replace(part, " ")
    return "".join(letter for letter in folded if letter.isalnum())


def _seen(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind in _DROPPED or kind[0] == "M":
        return ""
    return _like(letter)


def _like(letter: str) -> str:
    """The ASCII letter or digit that one looks like, in its own case or in the other, without strokes and hooks."""
    if letter.isascii():
        return letter
    for form in (letter, letter.upper(), letter.lower()):
        if form in _LIKE:
            return _LIKE[form]
    if (marked := _MARKED.fullmatch(unicodedata.name(letter, ""))) is not None:
        return marked[1]
    value = unicodedata.digit(letter, None)
    return letter if value is None else str(value)
