"""The pixels and lists inside `cuhk-03.mat`, which is an HDF5 file of references."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees.tree import refuse_size
from sysu30k_bench.errors import DataError, IntegrityError

MAT = "cuhk-03.mat"
_VIEWS = 10
"""Images that a person can have: the first five by one camera of the pair, the others by the other."""
_FIRST_CAMERA = 5
_DAMAGED = (TypeError, ValueError, IndexError, KeyError, OSError, AttributeError, RuntimeError, OverflowError)
"""What h5py raises on damaged files, depending on where they are damaged."""
_MOST_EXPANSION = 64
"""Times its file that an array may take: the published file is compressed, but not a thousandfold."""


class Cuhk03Mat:
    """An `ImageSource` over the file; a key is `pair_person_camera_number.png`, as the new protocol names them.

    Args:
        path: The file.
        boxes: `labeled` or `detected`.

    Raises:
        DataError: It is missing, or lies in an archive: reading it there would mean decompressing all of it.
        IntegrityError: It is not that file.
    """

    def __init__(self, path: Path, boxes: str) -> None:
        self._path = path
        self._boxes = boxes
        self._opened: tuple[int, h5py.File] | None = None
        if not path.is_file():
            raise DataError(f"{path} cannot be read inside an archive", hint="unpack cuhk03_release.zip once")
        try:
            with h5py.File(path, "r") as file:
                names = [
                    name for name in (boxes, "testsets") if isinstance(file.get(name, getlink=True), h5py.HardLink)
                ]
        except _DAMAGED as error:
            raise IntegrityError(f"{path} is not an HDF5 file: {error}", hint="download it again") from error
        if len(names) < 2:
            raise IntegrityError(f"{path} does not hold {boxes!r} and 'testsets'", hint="download it again")

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_boxes": self._boxes, "_opened": None}

    def size(self, key: str) -> int:
        """See `ImageSource`: bytes of the pixels."""
        found = self._find(key)
        return -1 if found is None else int(found.size)

    def read(self, key: str) -> bytes:
        """See `ImageSource`: the pixels as a PPM file, which loses nothing."""
        found = self._find(key)
        if found is None:
            raise DamagedImageError(f"{self._path.name} holds no such image")
        refuse_size(_claims(found))
        if found.ndim != 3 or found.shape[0] != 3 or found.dtype != np.uint8:
            raise DamagedImageError(f"an array of {found.shape} {found.dtype} is no image")
        try:
            pixels = found[()].transpose(2, 1, 0)  # MATLAB's order is the other way round
        except _DAMAGED as error:
            raise DamagedImageError(str(error)) from error
        return b"P6\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + np.ascontiguousarray(pixels).tobytes()

    def expect(self, keys: object) -> None:
        """See `ImageSource`."""

    def listing(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Returns keys, people and cameras of all images; a person is 1000 x pair + number."""
        with self._named():
            return self._listing()

    def _listing(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        rows = [
            (f"{pair + 1}_{person + 1:03d}_{camera}_{view + 1:02d}.png", 1000 * (pair + 1) + person + 1, camera)
            for pair, cells in enumerate(self._pairs)
            for person in range(cells.shape[1])
            for view in range(min(_VIEWS, cells.shape[0]))
            for camera in (1 if view < _FIRST_CAMERA else 2,)
            if self._file[cells[view, person]].ndim == 3
        ]
        people, cameras = (np.array([row[column] for row in rows], np.int64) for column in (1, 2))
        return [row[0] for row in rows], people, cameras

    def test_people(self, split: int) -> np.ndarray:
        """Returns the people of the authors' list number `split`, from 1."""
        with self._named():
            return self._test_people(split)

    def _test_people(self, split: int) -> np.ndarray:
        lists = self._whole(self._file["testsets"]).ravel()
        if not 1 <= split <= len(lists):
            raise IntegrityError(f"{self._path} holds {len(lists)} test lists; number {split} was asked for")
        pairs = self._whole(self._file[lists[split - 1]])  # (2, 100): camera pair and person, from 1
        return np.asarray(1000 * pairs[0] + pairs[1], np.int64)

    @cached_property
    def _pairs(self) -> list[np.ndarray]:
        """For each camera pair, (10, people) references."""
        cells = self._whole(self._file[self._boxes]).ravel()
        return [self._whole(self._file[cell]) for cell in cells]

    @staticmethod
    def _whole(found: h5py.Dataset) -> np.ndarray:
        """Reads a data set that lies in this file: one that lies elsewhere could be any file of this machine."""
        if found.is_virtual or found.external:
            raise IntegrityError(f"{found.file.filename} keeps data in other files", hint="download it again")
        if _claims(found) > _MOST_EXPANSION * Path(found.file.filename).stat().st_size:
            raise IntegrityError(
                f"{found.file.filename} claims {_claims(found):,} bytes in one array", hint="download it again"
            )
        values: np.ndarray = found[()]
        return values

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise IntegrityError(
                f"{self._path} is not as it was published: {error}", hint="download it again"
            ) from error

    def _find(self, key: str) -> h5py.Dataset | None:
        try:
            pair, person, _, view = (int(part) for part in key.removesuffix(".png").split("_"))
            if min(pair, person, view) < 1:
                return None
            found = self._file[self._pairs[pair - 1][view - 1, person - 1]]
        except _DAMAGED:
            return None
        inside = isinstance(found, h5py.Dataset) and not found.is_virtual and not found.external
        return found if inside and found.ndim == 3 else None

    @property
    def _file(self) -> h5py.File:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), h5py.File(self._path, "r"))
            self.__dict__.pop("_pairs", None)
        return self._opened[1]


def _claims(found: h5py.Dataset) -> int:
    """Bytes that reading a data set takes, by what it says of itself: its own, or those of a chunk."""
    chunk = int(np.prod(found.chunks or (), dtype=object)) * found.dtype.itemsize
    return int(max(found.nbytes, chunk))
