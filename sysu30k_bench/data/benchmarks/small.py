"""VIPeR, PRID-2011, CUHK01 and CAVIAR4REID: two cameras, and a protocol of random halves.

Their papers draw who is trained on and who is tested, ten times, and publish no lists: `--split` chooses among ten
fixed draws (`drawn_people`), and `--split all` averages over them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pandas as pd

from sysu30k_bench.data.benchmarks.benchmark import (
    Benchmark,
    drawn_people,
    first_with,
    inside,
    read_folder,
    take_people,
)
from sysu30k_bench.data.naming.names import Labels, parse_cam_folder, parse_caviar, parse_cuhk01, parse_prid2011
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree

PROBE, SEARCHED = 1, 2


class TwoCameras(Benchmark):
    """Probes are camera 1's images of the people tested, the gallery is camera 2's."""

    splits = 10
    below: ClassVar[tuple[str, ...]]
    folders: ClassVar[tuple[str, ...]]
    example: ClassVar[str]

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`."""
        return first_with(tree, self.below, *self.folders)

    def fits(self, tree: Tree, place: str) -> bool:
        """See `Benchmark`: some image is called as this benchmark's are."""
        files = tree.images(inside(place, self.folders[0]))
        return any(self.parse(file.rpartition("/")[2]) is not None for file in files)

    @staticmethod
    @abstractmethod
    def parse(name: str) -> Labels | None:
        """The naming rule."""

    @abstractmethod
    def everything(self, place: Tree) -> Split:
        """All images, as a split of no role in particular."""

    def train_count(self, everything: Split) -> int:
        """How many people are trained on: half, rounded down."""
        return len(np.unique(everything.person_ids)) // 2

    def drawn_from(self, everything: Split) -> np.ndarray:
        """Who may be drawn for training: everybody."""
        return everything.person_ids

    def read(self, place: Tree, role: Role, split: int) -> Split:
        """See `Benchmark`."""
        everything = self.everything(place)
        train, test = drawn_people(self.drawn_from(everything), self.train_count(everything), split)
        if role == "train":
            return take_people(everything, train, role)
        if role == "query":
            return take_people(everything, test, role, PROBE)
        others = np.setdiff1d(everything.person_ids, train)
        return take_people(everything, others, role, SEARCHED)


class CameraFolders(TwoCameras):
    """Each camera has a folder of its own, and names say who alone."""

    def everything(self, place: Tree) -> Split:
        """See `TwoCameras`."""
        parts = [read_folder(place, "gallery", folder, self.parse, self.example) for folder in self.folders]
        tables = [part.table.assign(camera_id=camera) for camera, part in enumerate(parts, 1)]
        return Split("gallery", pd.concat(tables, ignore_index=True))


class Viper(CameraFolders):
    """VIPeR (Gray et al., PETS 2007): 632 people, one image by each camera; 316 are tested."""

    name = "viper"
    needs = "cam_a/ and cam_b/ with names such as 000_45.bmp"
    below = ("", "VIPeR", "viper", "viper/VIPeR")
    folders = ("cam_a", "cam_b")
    example = "000_45.bmp"

    @staticmethod
    def parse(name: str) -> Labels | None:
        """See `parse_cam_folder`."""
        return parse_cam_folder(name)


class Prid2011(CameraFolders):
    """PRID-2011, single shot (Hirzer et al., SCIA 2011): 200 people are seen by both cameras.

    100 of them are tested; the gallery is camera b's 749 people less the 100 trained on.
    """

    name = "prid2011"
    needs = "single_shot/cam_a/ and single_shot/cam_b/"
    below = ("", "prid_2011", "prid2011", "prid2011/prid_2011")
    folders = ("single_shot/cam_a", "single_shot/cam_b")
    example = "person_0001.png"

    @staticmethod
    def parse(name: str) -> Labels | None:
        """See `parse_prid2011`."""
        return parse_prid2011(name)

    def drawn_from(self, everything: Split) -> np.ndarray:
        """Those that both cameras see."""
        people, cameras = everything.person_ids, everything.camera_ids
        shared: np.ndarray = np.intersect1d(people[cameras == PROBE], people[cameras == SEARCHED])
        return shared

    def train_count(self, everything: Split) -> int:
        """Half of those."""
        return len(self.drawn_from(everything)) // 2


class Cuhk01(TwoCameras):
    """CUHK01 (Li et al., ACCV 2012): 971 people, two images by each camera; 485 are trained on and 486 tested."""

    name = "cuhk01"
    needs = "campus/ with names such as 0001001.png"
    below = ("", "CUHK01", "cuhk01", "cuhk01/CUHK01")
    folders = ("campus",)
    example = "0001001.png"

    @staticmethod
    def parse(name: str) -> Labels | None:
        """See `parse_cuhk01`."""
        return parse_cuhk01(name)

    def everything(self, place: Tree) -> Split:
        """See `TwoCameras`."""
        return read_folder(place, "gallery", "campus", self.parse, self.example)


class Caviar4Reid(TwoCameras):
    """CAVIAR4REID (Cheng et al., BMVC 2011): 72 people, 50 of them seen by both cameras; 36 are tested.

    The first ten images of a person are one camera's, the next ten the other's. People whom only one camera saw have no
    match: those of them that are tested are in the gallery whichever camera saw them.
    """

    name = "caviar4reid"
    needs = "CAVIAR4REID/ with names such as 0001001.jpg"
    below = ("", "caviar4reid")
    folders = ("CAVIAR4REID",)
    example = "0001001.jpg"

    @staticmethod
    def parse(name: str) -> Labels | None:
        """See `parse_caviar`."""
        return parse_caviar(name)

    def everything(self, place: Tree) -> Split:
        """See `TwoCameras`."""
        return read_folder(place, "gallery", "CAVIAR4REID", self.parse, self.example)

    def read(self, place: Tree, role: Role, split: int) -> Split:
        """See `Benchmark`."""
        part = super().read(place, role, split)
        if role == "train":
            return part
        everything = self.everything(place)
        people, cameras = everything.person_ids, everything.camera_ids
        both = np.intersect1d(people[cameras == PROBE], people[cameras == SEARCHED])
        if role == "query":
            return take_people(part, both, role)
        _, test = drawn_people(people, self.train_count(everything), split)
        wanted = np.isin(people, test) & ((cameras == SEARCHED) | ~np.isin(people, both))
        return Split(role, everything.take(np.flatnonzero(wanted)).table.assign(role=role))
