"""Opens the lists of a data set once, for many evaluations."""

from __future__ import annotations

import os

from sysu30k_bench.api.arguments import path_of, whole_number
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.data.subset import part_of


def open_data(
    path: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    split: int | None = None,
    limit: int | None = None,
    distractors: int | None = None,
) -> TestSet:
    """Reads the lists of a data set, in a folder or in archives; no image is decoded.

    Args:
        path: The folder or archive.
        dataset: The benchmark's name; found from the layout if omitted.
        split: Number of a standard split, from 1; the first if omitted.
        limit: Number of images of each role to keep, for a quick test.
        distractors: Number of distractors to keep, always the same ones.

    Returns:
        An object for the argument `data` of `evaluate`, with `.query` and `.gallery`, each with `.table` (pandas: key,
        person, camera).

    Raises:
        DataError: The path does not exist, or its layout is unknown.
        UsageError: More than one layout fits, the split does not exist, or `distractors` is not below their number.
    """
    numbers = {"split": split, "limit": limit, "distractors": distractors}
    for name, value in numbers.items():
        if value is not None:
            whole_number(name, value)
    return part_of(open_test_set(path_of("path", path), dataset, split), limit, distractors)
