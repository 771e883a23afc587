"""CUHK03 (Li et al., CVPR 2014): boxes drawn by hand or found by a detector, new and classic protocol.

Two layouts: the folders of the new protocol (`cuhk03-np/labeled/query/0003_c1_21.png`, Zhong et al., CVPR 2017), both
kinds of boxes or one, and the authors' `cuhk-03.mat`, in which the pixels themselves are, with the new protocol's
`cuhk03_new_protocol_config_*.mat`.
"""

from __future__ import annotations

import io
import zlib
from typing import ClassVar, Literal

import numpy as np
from scipy.io import loadmat

from sysu30k_bench.data.benchmarks.benchmark import Benchmark, inside, read_folder
from sysu30k_bench.data.benchmarks.cuhk03_boxes import boxes_of
from sysu30k_bench.data.benchmarks.cuhk03_mat import MAT, Cuhk03Mat
from sysu30k_bench.data.benchmarks.market_layout import (
    folder_of,
    market_places,
    query_namings,
    remarks_on_layout,
)
from sysu30k_bench.data.images import DamagedImageError, ImageSource
from sysu30k_bench.data.naming.names import Labels, parse_cuhk03_np
from sysu30k_bench.data.split import Role, Split
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.errors import DataError, IntegrityError

_MAT_HEADER, _COMPRESSED = 128, 15
_MOST_INFLATED, _INFLATED_AT_ONCE = 64 << 20, 1 << 20
_BELOW = ("", "cuhk03-np", "cuhk03_release", "cuhk03", "cuhk03/cuhk03_release")


class Cuhk03(Benchmark):
    """The new protocol: 767 people are trained on, 700 tested, several images each."""

    boxes: ClassVar[str]

    def find(self, tree: Tree) -> str | None:
        """See `Benchmark`; `fits` says which boxes they are where no folder of the layout is called after them."""
        named = [inside(below, self.boxes) for below in _BELOW]
        for place in market_places(tree, [*named, *_BELOW]):
            namings = query_namings(tree, place)
            if "cuhk03" in namings or (not namings and place in named):
                return place
        for below in _BELOW:
            prefix = f"{below}/" if below else ""
            if tree.size(prefix + MAT) >= 0 and self._config_key(tree, prefix) is not None:
                return below
        return None

    def fits(self, tree: Tree, place: str) -> bool:
        """See `Benchmark`; where nothing tells the boxes, both kinds fit, and the user is asked."""
        return tree.size(inside(place, MAT)) >= 0 or boxes_of(tree, place) in {self.boxes, None}

    def read(self, place: Tree, role: Role, split: int) -> Split:  # noqa: ARG002
        """See `Benchmark`."""
        if place.size(MAT) < 0:
            return read_folder(place, role, folder_of(place, role), parse_cuhk03_np, "0003_c1_21.png")
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

    def remarks(self, place: Tree, query: Split, gallery: Split) -> tuple[list[str], list[str]]:  # noqa: ARG002
        """See `Benchmark`."""
        if place.size(MAT) >= 0:
            return [], []
        boxes = boxes_of(place, "")
        other = boxes is not None and boxes != self.boxes
        return remarks_on_layout(place), [f"folder or counts say that the boxes are {boxes}"] if other else []

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
        content = place.read(key)
        _refuse_bomb(content)
        return dict(loadmat(io.BytesIO(content)))
    except (ValueError, TypeError, NotImplementedError, OSError, EOFError, MemoryError, OverflowError) as error:
        raise IntegrityError(f"{place.path / key} is not a MATLAB file: {error}", hint="download it again") from error
    except DamagedImageError as error:
        raise DataError(f"cannot read {place.path / key}: {error}") from error


def _refuse_bomb(content: bytes) -> None:
    """Refuses a MATLAB file that inflates far beyond a list of some thousand names.

    Raises:
        ValueError: It is refused.
    """
    order: Literal["little", "big"] = "big" if content[126:128] == b"MI" else "little"
    at, left = _MAT_HEADER, _MOST_INFLATED
    while at + 8 <= len(content):
        kind, size = (int.from_bytes(content[at + place : at + place + 4], order) for place in (0, 4))
        packed, unpack = content[at + 8 : at + 8 + size], zlib.decompressobj()
        while kind == _COMPRESSED and packed and not unpack.eof:
            left -= len(unpack.decompress(packed, _INFLATED_AT_ONCE))
            packed = unpack.unconsumed_tail
            if left < 0:
                raise ValueError(f"it inflates to more than {_MOST_INFLATED:,} bytes")
        at += 8 + size
