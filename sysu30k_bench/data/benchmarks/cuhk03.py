"""CUHK03 (Li et al., CVPR 2014): boxes drawn by hand or found by a detector, new and classic protocol.

Two layouts: the folders of the new protocol (`cuhk03-np/labeled/query/0003_c1_21.png`, Zhong et al., CVPR 2017), and
the authors' `cuhk-03.mat`, in which the pixels themselves are, with the new protocol's
`cuhk03_new_protocol_config_*.mat`.
"""

from __future__ import annotations

import io
from typing import ClassVar

import numpy as np
from scipy.io import loadmat

from sysu30k_bench.data.benchmarks.benchmark import Benchmark, first_with, read_folder
from sysu30k_bench.data.benchmarks.cuhk03_mat import MAT, Cuhk03Mat
from sysu30k_bench.data.benchmarks.market1501 import FOLDERS
from sysu30k_bench.data.images import DamagedImageError, ImageSource
from sysu30k_bench.data.names import Labels, parse_cuhk03_np
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.errors import DataError, IntegrityError

_BELOW = ("", "cuhk03-np", "cuhk03_release", "cuhk03", "cuhk03/cuhk03_release")


class Cuhk03(Benchmark):
    """The new protocol: 767 people are trained on, 700 tested, several images each."""

    boxes: ClassVar[str]

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`."""
        place = first_with(tree, [f"{below}/{self.boxes}".strip("/") for below in _BELOW], "query", "bounding_box_test")
        if place is not None:
            return place
        for below in _BELOW:
            prefix = f"{below}/" if below else ""
            if tree.size(prefix + MAT) >= 0 and self._config_key(tree, prefix) is not None:
                return below
        return None

    def read(self, place: Tree, role: Role, split: int) -> Split:  # noqa: ARG002
        """See `Benchmark`."""
        if place.size(MAT) < 0:
            return read_folder(place, role, FOLDERS[role], parse_cuhk03_np, "0003_c1_21.png")
        key = self._config_key(place, "") or f"cuhk03_new_protocol_config_{self.boxes}.mat"
        config = _load(place, key)
        try:
            wanted = config[{"train": "train_idx", "query": "query_idx", "gallery": "gallery_idx"}[role]].ravel() - 1
            names = [str(cell[0]) for cell in config["filelist"].ravel()]
            people, cameras = config["labels"].ravel(), config["camId"].ravel()
            keys = [names[row] for row in wanted]
            labels = [Labels(int(people[row]), int(cameras[row])) for row in wanted]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise IntegrityError(f"{place.path / key} is not a configuration of the new protocol: {error!r}") from error
        return Split.of(role, keys, labels)

    def images(self, place: Tree) -> ImageSource:
        """See `Benchmark`."""
        return place if place.size(MAT) < 0 else Cuhk03Mat(place.path / MAT, self.boxes)

    def _config_key(self, tree: Tree, prefix: str) -> str | None:
        name = f"cuhk03_new_protocol_config_{self.boxes}.mat"
        return next((key for key in (prefix + name, f"{prefix}../{name}") if tree.size(key) >= 0), None)


class Cuhk03Labeled(Cuhk03):
    """Boxes drawn by hand."""

    name = "cuhk03-labeled"
    needs = "labeled/query/ and labeled/bounding_box_test/, or cuhk-03.mat and cuhk03_new_protocol_config_labeled.mat"
    boxes = "labeled"


class Cuhk03Detected(Cuhk03):
    """Boxes found by a detector."""

    name = "cuhk03-detected"
    needs = (
        "detected/query/ and detected/bounding_box_test/, or cuhk-03.mat and cuhk03_new_protocol_config_detected.mat"
    )
    boxes = "detected"


class Cuhk03Classic(Benchmark):
    """The classic protocol: the authors' twenty lists of 100 people to test; one drawn image of each is the gallery."""

    splits = 20
    boxes: ClassVar[str]
    needs = "cuhk-03.mat"

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`."""
        return next((below for below in _BELOW if tree.size(f"{below}/{MAT}".strip("/")) >= 0), None)

    def read(self, place: Tree, role: Role, split: int) -> Split:
        """See `Benchmark`."""
        mat = Cuhk03Mat(place.path / MAT, self.boxes)
        keys, people, cameras = mat.listing()
        tested = mat.test_people(split)
        inside = np.isin(people, tested)
        if role == "train":
            rows = np.flatnonzero(~inside)
        elif role == "query":
            rows = np.flatnonzero(inside & (cameras == 1))
        else:
            rng = np.random.RandomState(split)
            candidates = [np.flatnonzero((people == person) & (cameras == 2)) for person in tested]
            rows = np.array([found[rng.randint(len(found))] for found in candidates if len(found)], np.int64)
        labels = [Labels(int(people[row]), int(cameras[row])) for row in rows]
        return Split.of(role, [keys[row] for row in rows], labels)

    def images(self, place: Tree) -> ImageSource:
        """See `Benchmark`."""
        return Cuhk03Mat(place.path / MAT, self.boxes)


class Cuhk03LabeledClassic(Cuhk03Classic):
    """Boxes drawn by hand."""

    name = "cuhk03-labeled-classic"
    boxes = "labeled"


class Cuhk03DetectedClassic(Cuhk03Classic):
    """Boxes found by a detector."""

    name = "cuhk03-detected-classic"
    boxes = "detected"


def _load(place: Tree, key: str) -> dict[str, np.ndarray]:
    try:
        return dict(loadmat(io.BytesIO(place.read(key))))
    except (ValueError, TypeError, NotImplementedError, OSError, EOFError) as error:
        raise IntegrityError(f"{place.path / key} is not a MATLAB file: {error}", hint="download it again") from error
    except DamagedImageError as error:
        raise DataError(f"cannot read {place.path / key}: {error}") from error
