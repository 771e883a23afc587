"""Which of several copies of a network in one file is the one that its project reports.

Averaged weights are reported by the toolboxes that keep them (timm, ConvNeXt), the teacher by the programs that distil
themselves (DINO, iBOT, EsViT), and the trained network, not its slow copy, by contrastive programs (MoCo, BYOL).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_AVERAGED = frozenset({"ema", "swa", "averaged", "shadow"})
_TEACHER = frozenset({"teacher"})
_SLOW = frozenset({"momentum", "target", "student", "k", "key", "old", "slow", "mom"})


def words_of(prefix: str) -> set[str]:
    """Returns the words of a prefix: `state_dict_ema.model.` has state, dict, ema and model."""
    return {word for word in re.split(r"[._\-]+", prefix.lower()) if word}


def rank_of(prefix: str) -> int:
    """Returns how far back a prefix stands when several hold the same network: of two, the lower is taken."""
    words = words_of(prefix)
    return len(words & _SLOW) - len(words & (_AVERAGED | _TEACHER))


def is_known_pair(one: str, other: str) -> bool:
    """Returns whether words of such roles tell two prefixes apart, so that one may stand for both."""
    return rank_of(one) != rank_of(other)


def chosen_by(word: str, prefixes: Iterable[str]) -> list[str]:
    """Returns the prefixes that a user means by `--weights WORD`.

    Args:
        word: `raw` (no averaging), a role such as `ema`, `teacher` or `target`, or a prefix or component of it.
        prefixes: What the file holds, each empty or ending in a dot.
    """
    wanted = word.lower().strip(".")
    listed = list(prefixes)
    if wanted == "raw":
        return [prefix for prefix in listed if not words_of(prefix) & _AVERAGED]
    exact = [prefix for prefix in listed if prefix.strip(".").lower() == wanted]
    if exact:
        return exact
    parts = [prefix for prefix in listed if wanted in prefix.strip(".").lower().split(".")]
    return parts or [prefix for prefix in listed if wanted in words_of(prefix)]
