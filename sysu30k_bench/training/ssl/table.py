"""The images to train on: any training part that the toolkit reads; no label is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.weak.open_training_set import NoTrainingSetError, open_training_set
from sysu30k_bench.errors import DataError
from sysu30k_bench.progress import Progress
from sysu30k_bench.training.table import open_labelled


@dataclass(frozen=True)
class ImageTable:
    """What is trained on.

    Attributes:
        source: Where the images are.
        keys: From rows to keys.
        count: How many images there are.
        fingerprint: Of their keys; a run resumes only with the same.
    """

    source: ImageSource
    keys: Callable[[Sequence[int]], list[str]]
    count: int
    fingerprint: str


def open_images(root: Path, dataset: str | None, progress: Progress) -> ImageTable:
    """Opens the training images of a data set.

    Args:
        root: Folder or archive: SYSU-30k's training folders or tars, or a benchmark with a training part.
        dataset: The benchmark's name, if it is known.
        progress: Told of tars being indexed.

    Raises:
        DataError: There are no training images.
    """
    if dataset in {None, "sysu30k"}:
        try:
            found = open_training_set(root, progress=progress)
        except NoTrainingSetError:
            pass
        else:
            if found.images is None:
                raise DataError(f"{root} holds the lists of the training set and none of its images")
            listed = found.listed
            digest = hashlib.sha256(listed.folders.tobytes() + listed.counts.tobytes())
            return ImageTable(found.images, listed.keys, len(listed), digest.hexdigest())
    source, split = open_labelled(root, dataset, progress)
    keys = split.keys
    return ImageTable(source, lambda rows: [keys[row] for row in rows], len(keys), split.fingerprint)
