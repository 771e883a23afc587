"""Bags: groups of images with a set of identities, and no label of any single image."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from sysu30k_bench.data.weak.training_list import TrainingList

BAGS_OF_A_CENTRE = 3


@dataclass(frozen=True)
class Bags:
    """Bags as a ragged table of folders.

    Attributes:
        number: (B,) int64, as in `bag%010d`.
        start: (B + 1,) int64, where each bag's folders begin in `folder`.
        folder: (K,) int64, the folders of each bag, each once, in the order of the file. The images of a bag are all
            images of its folders; its label is the set of them.
        notes: What was unusual.
    """

    number: np.ndarray
    start: np.ndarray
    folder: np.ndarray
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.number)

    def folders_of(self, bag: int) -> np.ndarray:
        """Returns the folders of the bag at a position, (n,) int64."""
        part: np.ndarray = self.folder[self.start[bag] : self.start[bag + 1]]
        return part

    def rows_of(self, bag: int, images: TrainingList) -> np.ndarray:
        """Returns the rows of the images of the bag at a position, (n,) int64: what a sampler draws from."""
        spans = [images.rows_of(int(folder)) for folder in self.folders_of(bag)]
        return np.concatenate([np.arange(span.start, span.stop) for span in spans]) if spans else np.empty(0, np.int64)

    def sizes(self, images: TrainingList) -> np.ndarray:
        """Returns how many images each bag has, (B,) int64."""
        place = np.searchsorted(images.folders, self.folder)
        inside = np.minimum(place, len(images.folders) - 1)
        counts = np.where(images.folders[inside] == self.folder, images.counts[inside], 0)
        total = np.concatenate([[0], np.cumsum(counts)])
        return np.diff(total[self.start])

    def table(self, images: TrainingList | None = None) -> pd.DataFrame:
        """Lays the bags out, one row each.

        Args:
            images: The training images, for their number.

        Returns:
            `bag`, `centre` and `radius` (by the rule), `identities`, and `images` where they are given.
        """
        columns = {
            "bag": self.number,
            "centre": self.number // BAGS_OF_A_CENTRE,
            "radius": self.number % BAGS_OF_A_CENTRE,
            "identities": np.diff(self.start),
        }
        if images is not None:
            columns["images"] = self.sizes(images)
        return pd.DataFrame(columns)

    @cached_property
    def identities(self) -> np.ndarray:
        """All folders that some bag names, (F,) int64, ascending."""
        named: np.ndarray = np.unique(self.folder)
        return named


def bags_by_rule(identities: int, id_offset: int = 1) -> Bags:
    """Makes the bags by the rule that the published examples follow.

    Bag b has centre b // 3 and radius b % 3: the identities from centre - radius to centre + radius, clamped to those
    that exist. 28,310 identities give 84,930 bags.

    Args:
        identities: How many there are, labelled from 0.
        id_offset: Folder number less label.
    """
    number = np.arange(BAGS_OF_A_CENTRE * identities)
    centre, radius = number // BAGS_OF_A_CENTRE, number % BAGS_OF_A_CENTRE
    low, high = np.maximum(centre - radius, 0), np.minimum(centre + radius, identities - 1)
    sizes = high - low + 1
    start = np.concatenate([[0], np.cumsum(sizes)])
    label = np.repeat(low - start[:-1], sizes) + np.arange(start[-1])
    return Bags(number, start, label + id_offset)


def equal_bags(ours: Bags, theirs: Bags) -> np.ndarray:
    """Says for each bag of the first whether the second has the same folders under the same number, (B,) bool."""
    where = {int(number): place for place, number in enumerate(theirs.number)}
    same = np.zeros(len(ours), bool)
    for place, number in enumerate(ours.number.tolist()):
        other = where.get(number)
        same[place] = other is not None and set(ours.folders_of(place)) == set(theirs.folders_of(other))
    return same
