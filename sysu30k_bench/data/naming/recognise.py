"""Whose names the images of a folder have: several benchmarks share their folders, and none shares its names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_NAMINGS = {
    "sysu30k": re.compile(r"(?:[0-9]{9}|0000others[^_]*)_c[0-9]{1,9}[_.]"),
    "market1501": re.compile(r"(?:-1|[0-9]{1,18})_c[0-9]{1,9}s[0-9]"),
    "dukemtmc": re.compile(r"[0-9]{1,18}_c[0-9]{1,9}_f[0-9]+"),
    "cuhk03": re.compile(r"[0-9]{4}_c[12]_[0-9]+\."),
}
_MORE_CAMERAS = re.compile(r"[0-9]{4}_c(?!(?:1|2)_)[0-9]{1,9}_[0-9]+\.")
"""Like CUHK03's names, which know two cameras, and therefore not CUHK03's: other data sets are renamed like this."""

_SHARE = 10
"""A naming counts where a tenth of the names follow it; fewer are strays."""


def namings_of(keys: Iterable[str]) -> frozenset[str]:
    """Returns the namings that images follow: `sysu30k`, `market1501`, `dukemtmc`, `cuhk03`; none for other names.

    Args:
        keys: Paths of images, with forward slashes.
    """
    names = [key.rpartition("/")[2] for key in keys]
    counts = Counter(naming for name in names for naming, rule in _NAMINGS.items() if rule.match(name))
    if any(_MORE_CAMERAS.match(name) for name in names):
        del counts["cuhk03"]
    return frozenset(naming for naming, count in counts.items() if count * _SHARE >= len(names))


def count_others(keys: Iterable[str], naming: str) -> int:
    """Returns how many images do not follow a naming."""
    rule = _NAMINGS[naming]
    return sum(rule.match(key.rpartition("/")[2]) is None for key in keys)
