"""The layout that Market-1501 set, and the copy of it that layumi's scripts make.

Three benchmarks are laid out like this. Which one lies there, the names of the images say.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from sysu30k_bench.data.benchmarks.benchmark import Benchmark, inside, places_with, read_folder
from sysu30k_bench.data.naming.names import Labels
from sysu30k_bench.data.naming.recognise import namings_of
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree

FOLDERS: dict[Role, str] = {"query": "query", "gallery": "bounding_box_test", "train": "bounding_box_train"}
_BY_PERSON: dict[Role, str] = {"query": "query", "gallery": "gallery", "train": "train_all"}
_SORTED = "pytorch"
"""Where layumi's prepare.py puts the copy in which every identity has a folder."""


def market_places(tree: Tree, below: Sequence[str]) -> Iterator[str]:
    """Returns where the layout, or layumi's copy of it, lies among some places."""
    yield from places_with(tree, below, FOLDERS["query"], FOLDERS["gallery"])
    copies = [inside(place, folder) for place in below for folder in (_SORTED, "")]
    yield from places_with(tree, copies, _BY_PERSON["query"], _BY_PERSON["gallery"])


def is_original(place: Tree) -> bool:
    """Whether it is Market-1501's layout, and not layumi's copy."""
    return place.has_folder(FOLDERS["gallery"])


def folder_of(place: Tree, role: Role) -> str:
    """Returns the folder of a role."""
    return (FOLDERS if is_original(place) else _BY_PERSON)[role]


def query_namings(tree: Tree, place: str) -> frozenset[str]:
    """Returns the namings that the queries at a place follow (see `namings_of`)."""
    return namings_of(tree.images(inside(place, FOLDERS["query"])))


def remarks_on_layout(place: Tree) -> list[str]:
    """Tells of layumi's layout."""
    return [] if is_original(place) else ["the layout is that of layumi's scripts: query/ID/ and gallery/ID/"]


class MarketLayout(Benchmark):
    """A benchmark in that layout.

    Attributes:
        naming: What `namings_of` calls its names.
        below: Where the layout may begin.
        example: A name of its images.
    """

    naming: ClassVar[str]
    below: ClassVar[tuple[str, ...]]
    example: ClassVar[str]

    @staticmethod
    @abstractmethod
    def parse(name: str) -> Labels | None:
        """The naming rule."""

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`; a place whose images have the names of another benchmark is passed over."""
        for place in market_places(tree, self.below):
            namings = query_namings(tree, place)
            if self.naming in namings or not namings:
                return place
        return None

    def fits(self, tree: Tree, place: str) -> bool:
        """See `Benchmark`."""
        return self.naming in query_namings(tree, place)

    def read(self, place: Tree, role: Role, split: int) -> Split:  # noqa: ARG002
        """See `Benchmark`."""
        return read_folder(place, role, folder_of(place, role), self.parse, self.example, self.distractors)

    def remarks(self, place: Tree, query: Split, gallery: Split) -> tuple[list[str], list[str]]:  # noqa: ARG002
        """See `Benchmark`."""
        return remarks_on_layout(place), []
