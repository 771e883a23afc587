"""The Market-1501 layout: flat folders `query/` and `bounding_box_test/`."""

from __future__ import annotations

from pathlib import Path

from sysu30k_bench.data.labelling import label_files
from sysu30k_bench.data.listing import image_files
from sysu30k_bench.data.names import parse_market1501
from sysu30k_bench.data.published import published_counts
from sysu30k_bench.data.split import ROLES, Role, Split, TestSet
from sysu30k_bench.errors import DataError

NAME = "market1501"
_FOLDERS: dict[Role, str] = {"query": "query", "gallery": "bounding_box_test"}
_BELOW = ("", "Market-1501-v15.09.15", "market1501", "market1501/Market-1501-v15.09.15")


def find_root(root: Path) -> Path | None:
    """Finds the folder that holds `query/` and `bounding_box_test/`, at `root` or in the archive's folder below."""
    for below in _BELOW:
        candidate = root / below
        if all((candidate / folder).is_dir() for folder in _FOLDERS.values()):
            return candidate
    return None


def read(root: Path) -> TestSet:
    """Reads the test set: `0000` images are distractors and ranked, `-1` images are junk.

    Args:
        root: The folder that holds `query/` and `bounding_box_test/`, or the folder above it.

    Returns:
        The test set; its keys start with the folder's name.

    Raises:
        DataError: A folder is missing or empty, or names do not parse.
    """
    place = find_root(root)
    if place is None:
        raise DataError(f"{root} does not hold query/ and bounding_box_test/")
    splits: dict[Role, Split] = {}
    for role, folder in _FOLDERS.items():
        files = image_files(place / folder)
        if not files:
            raise DataError(f"there is no image in {place / folder}", hint="unpack the archive whole")
        labels = label_files(place / folder, files, parse_market1501, "0002_c1s1_000451_03.jpg")
        splits[role] = Split.of(role, [f"{folder}/{file}" for file in files], labels)
    notes, reasons = published_counts()[NAME].compare(*(len(splits[role]) for role in ROLES))
    return TestSet(NAME, place, splits["query"], splits["gallery"], notes, reasons)
