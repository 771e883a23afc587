"""Whose boxes cut out the images of a CUHK03 folder: the new protocol's names are the same for both kinds."""

from __future__ import annotations

import os
from pathlib import Path

from sysu30k_bench.data.benchmarks.benchmark import inside
from sysu30k_bench.data.benchmarks.market_layout import FOLDERS, folder_of
from sysu30k_bench.data.benchmarks.published import published_counts
from sysu30k_bench.data.trees.tree import Subtree, Tree

_WORDS = {"labeled": ("labeled", "labelled"), "detected": ("detected",)}
_HEIGHT = 3
"""How many folders, from the layout's own upwards, may tell: `detected/pytorch`, `cuhk03_np_detected/`."""


def boxes_of(tree: Tree, place: str) -> str | None:
    """Says which boxes the folders of the new protocol hold, by the names of the folders above, or by the counts.

    Args:
        tree: Where they lie.
        place: Where their layout begins.

    Returns:
        `labeled`, `detected`, or None where nothing tells.
    """
    whole = Path(os.path.abspath(tree.path / place))  # noqa: PTH100  links keep their names
    for folder in [whole, *whole.parents][:_HEIGHT]:
        named = [boxes for boxes, words in _WORDS.items() if any(word in folder.name.lower() for word in words)]
        if len(named) == 1:
            return named[0]
    query = len(tree.images(inside(place, FOLDERS["query"])))
    gallery = len(tree.images(inside(place, folder_of(Subtree(tree, place), "gallery"))))
    counted = [boxes for boxes in _WORDS if not published_counts()[f"cuhk03-{boxes}"].compare(query, gallery)[1]]
    return counted[0] if len(counted) == 1 else None
