"""What a benchmark's reader gives, and the pieces that several readers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.naming.labelling import label_files
from sysu30k_bench.data.naming.names import NOT_ASKED_FOR, Labels
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.errors import DataError

Parse = Callable[[str], Labels | None]


class Benchmark(ABC):
    """Reads one benchmark from any tree.

    Attributes:
        name: What `--dataset` calls it.
        needs: The folders or files that it is known by, for messages.
        splits: How many standard splits there are; 1 where the authors' lists are fixed.
        note: Something that every user should know.
        distractors: Labels of images that show nobody, and are ranked; every other label from 0 on is a person.
    """

    name: ClassVar[str]
    needs: ClassVar[str]
    splits: ClassVar[int] = 1
    note: ClassVar[str] = ""
    distractors: ClassVar[frozenset[int]] = frozenset()

    @abstractmethod
    def find(self, tree: Tree) -> str | None:
        """Returns the folder of the tree in which the layout begins, or None where it does not exist."""

    def fits(self, tree: Tree, place: str) -> bool:  # noqa: ARG002
        """Whether it is this benchmark and no other with the same folders, where nobody has said which it is."""
        return True

    @abstractmethod
    def read(self, place: Tree, role: Role, split: int) -> Split:
        """Reads one part.

        Args:
            place: The folder that `find` found.
            role: `query`, `gallery` or `train`.
            split: Number of the split, from 1.

        Raises:
            DataError: The part is missing or empty, or names or lists do not parse.
        """

    def images(self, place: Tree) -> ImageSource:
        """Where the pixels are: the tree itself, but for containers of their own."""
        return place

    def remarks(self, place: Tree, query: Split, gallery: Split) -> tuple[list[str], list[str]]:  # noqa: ARG002
        """What to tell about these files, and why they are not the published lists, beyond their counts."""
        return [], []


def places_with(tree: Tree, below: Sequence[str], *folders: str) -> Iterator[str]:
    """Returns those of some places that hold all of some folders."""
    for place in below:
        if all(tree.has_folder(inside(place, folder)) for folder in folders):
            yield place


def first_with(tree: Tree, below: Sequence[str], *folders: str) -> str | None:
    """Returns the first of some places that holds all of some folders."""
    return next(places_with(tree, below, *folders), None)


def inside(place: str, folder: str) -> str:
    """Joins two keys, either of which may be empty."""
    return f"{place}/{folder}".strip("/")


def read_folder(
    place: Tree, role: Role, folder: str, parse: Parse, example: str, distractors: frozenset[int] = frozenset()
) -> Split:
    """Reads a part whose images say who they are by their names.

    Args:
        place: The benchmark's root.
        role: Of the images.
        folder: Where they are.
        parse: The naming rule.
        example: A name that follows it, for messages.
        distractors: Labels of images that show nobody; a query with one of them has no match.

    Raises:
        DataError: There is no image, or names do not parse.
    """
    files = place.images(folder)
    if not files:
        raise DataError(
            f"there is no image in {place.path / folder}",
            hint="--data is the folder above it, with the archive unpacked whole, or the archive itself",
        )
    labels = label_files(place.path / folder, files, parse, example)
    prefix = f"{folder}/" if folder else ""
    split = replace(Split.of(role, [prefix + file for file in files], labels), distractors=distractors)
    nobody = np.isin(split.person_ids, [label for label in distractors if label >= 0])
    if role != "query" or not nobody.any():
        return split
    return replace(split, table=split.table.assign(person_id=np.where(nobody, NOT_ASKED_FOR, split.person_ids)))


def take_people(split: Split, people: np.ndarray, role: Role, camera: int | None = None) -> Split:
    """Returns the images of some people, of one camera or of all, in order.

    Args:
        split: All images.
        people: Identities wanted.
        role: Of the result.
        camera: The camera wanted.
    """
    wanted = np.isin(split.person_ids, people)
    if camera is not None:
        wanted &= split.camera_ids == camera
    part = split.take(np.flatnonzero(wanted))
    return Split(role, part.table.assign(role=role))


def drawn_people(people: np.ndarray, train: int, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws the people of a random split.

    The published protocols draw at random and publish no lists. Split n takes the order
    `numpy.random.RandomState(n).permutation`, which numpy keeps for ever: the same on every machine.

    Args:
        people: (N,) identities, in any order.
        train: How many are trained on.
        split: Number of the split.

    Returns:
        Those to train on, and the others, each ascending.
    """
    ordered = np.unique(people)
    order = np.random.RandomState(split).permutation(len(ordered))
    return np.sort(ordered[order[:train]]), np.sort(ordered[order[train:]])
