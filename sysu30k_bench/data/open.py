"""From a folder to the benchmark that it holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sysu30k_bench.data import market1501, sysu30k
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.errors import DataError, UsageError


class _Layout(NamedTuple):
    find_root: Callable[[Path], Path | None]
    read: Callable[[Path], TestSet]
    folders: str


LAYOUTS: dict[str, _Layout] = {
    sysu30k.NAME: _Layout(sysu30k.find_root, sysu30k.read, "query/ and gallery/"),
    market1501.NAME: _Layout(market1501.find_root, market1501.read, "query/ and bounding_box_test/"),
}
"""The layouts that `eval` reads, by data set name."""


_FOLDERS_LOOKED_INTO = 200


def open_test_set(root: Path, dataset: str | None = None) -> TestSet:
    """Reads the test set below a folder.

    Args:
        root: The folder.
        dataset: The benchmark's name; found from the layout where it is None.

    Returns:
        Query and gallery, with what is unusual about them.

    Raises:
        DataError: There is no such folder, or nothing in it that fits a layout.
        UsageError: More than one layout fits.
    """
    if not _is_folder(root):
        raise DataError(f"there is no folder {root}", hint="point --data at the folder above query/ and gallery/")
    if not os.access(root, os.R_OK | os.X_OK):
        raise DataError(f"cannot read the folder {root}", hint="check its permissions")
    fitting = [name for name in ([dataset] if dataset else LAYOUTS) if _finds(name, root)]
    if not fitting:
        raise DataError(_nothing_fits(root, dataset), hint=_remedy(root))
    if len(fitting) > 1:
        raise UsageError(f"{root} fits more than one data set: {', '.join(fitting)}", hint="name one with --dataset")
    return LAYOUTS[fitting[0]].read(root)


def limit_test_set(test_set: TestSet, limit: int) -> TestSet:
    """Cuts a test set down for a quick look: never official.

    The first `limit` queries stay, all of their matches, and as many other gallery images, in order, as make the
    gallery `limit` images long.

    Args:
        test_set: The whole.
        limit: Images to keep of each role, at least 1.

    Returns:
        The part, marked as not official.
    """
    query = test_set.query.take(np.arange(min(limit, len(test_set.query))))
    gallery = test_set.gallery
    rel = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    kept = np.zeros(len(gallery), bool)
    kept[rel.match_position] = True
    room = max(0, limit - int(kept.sum()))
    kept[np.flatnonzero(~kept)[:room]] = True
    reason = (
        f"--limit {limit}: {len(query):,} of {len(test_set.query):,} queries, "
        f"{kept.sum():,} of {len(gallery):,} gallery images"
    )
    return TestSet(
        test_set.dataset,
        test_set.root,
        query,
        gallery.take(np.flatnonzero(kept)),
        test_set.warnings,
        [*test_set.not_official, reason],
        test_set.drawn,
    )


def _finds(name: str, folder: Path) -> bool:
    try:
        return LAYOUTS[name].find_root(folder) is not None
    except OSError:  # a folder that this user may not look into
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _nothing_fits(root: Path, dataset: str | None) -> str:
    wanted = {dataset: LAYOUTS[dataset]} if dataset else LAYOUTS
    needs = "; ".join(f"{name} needs {layout.folders}" for name, layout in wanted.items())
    inside = sorted(entry.name + ("/" if _is_folder(entry) else "") for entry in root.iterdir())
    shown = ", ".join(inside[:8]) + (", ..." if len(inside) > 8 else "") if inside else "nothing"
    return f"{root} is not the root of a known test set: {needs}; it holds {shown}"


def _remedy(root: Path) -> str:
    below = sorted(entry for entry in root.iterdir() if _is_folder(entry))[:_FOLDERS_LOOKED_INTO]
    for folder in (root.parent, *below):
        for name in LAYOUTS:
            if _finds(name, folder):
                return f"--data {folder} looks like {name}"
    return (
        "point --data at the folder above query/ and gallery/ (tars must be unpacked: `tar xvf sysu_test_set_all.tar`)"
    )
