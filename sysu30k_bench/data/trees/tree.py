"""What every tree of files can do, and how file names are sorted and refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from sysu30k_bench.data.images import MAX_BYTES, DamagedImageError
from sysu30k_bench.data.trees.text import text_of
from sysu30k_bench.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""What torchvision's ImageFolder takes for an image."""


class Tree(Protocol):
    """Files below a root, read only. Keys are relative to it, with forward slashes."""

    @property
    def path(self) -> Path:
        """Where the root is, for people: a folder, an archive, or a folder inside an archive."""

    @property
    def notes(self) -> list[str]:
        """What the user should know about these files."""

    @property
    def faults(self) -> list[str]:
        """What cannot be read of them: a result on the rest is not one on the published files."""

    def entries(self, below: str = "") -> list[str]:
        """Names of what lies directly in the root, or in a folder; those of folders end in a slash."""

    def images(self, below: str) -> list[str]:
        """Image files below a folder, sub-folders included, relative to it, in the order of `walk_order`."""

    def has_folder(self, key: str) -> bool:
        """Whether there is a folder of that name."""

    def size(self, key: str) -> int:
        """Bytes of a file, or -1 where it does not exist; reads none of them."""

    def read(self, key: str) -> bytes:
        """The bytes of a file, or `DamagedImageError`."""

    def expect(self, keys: Sequence[str]) -> None:
        """Is told which files will be read soon, so that the disk can be asked for them in its own order."""


class Subtree:
    """A folder of a tree, as a tree.

    Args:
        tree: The whole.
        folder: The folder's key.
    """

    def __init__(self, tree: Tree, folder: str) -> None:
        self._tree = tree
        self._prefix = f"{folder}/" if folder else ""

    @property
    def path(self) -> Path:
        """See `Tree`."""
        return self._tree.path / self._prefix if self._prefix else self._tree.path

    @property
    def notes(self) -> list[str]:
        """See `Tree`."""
        return self._tree.notes

    @property
    def faults(self) -> list[str]:
        """See `Tree`."""
        return self._tree.faults

    def entries(self, below: str = "") -> list[str]:
        """See `Tree`."""
        return self._tree.entries(_join(self._prefix, below))

    def images(self, below: str) -> list[str]:
        """See `Tree`."""
        return self._tree.images(_join(self._prefix, below))

    def has_folder(self, key: str) -> bool:
        """See `Tree`."""
        return self._tree.has_folder(_join(self._prefix, key))

    def size(self, key: str) -> int:
        """See `Tree`."""
        return self._tree.size(_join(self._prefix, key))

    def read(self, key: str) -> bytes:
        """See `Tree`."""
        return self._tree.read(_join(self._prefix, key))

    def expect(self, keys: Sequence[str]) -> None:
        """See `Tree`."""
        self._tree.expect([self._prefix + key for key in keys])


def _join(prefix: str, key: str) -> str:
    """Joins a key that may climb out of the folder (`../meta`): out of an archive's root it finds nothing."""
    parts: list[str] = []
    for part in PurePosixPath(prefix + key).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def read_list(tree: Tree, key: str) -> list[str] | None:
    """Reads the lines of a text file of a tree, without a byte order mark; None where there is no such file.

    Raises:
        DataError: It is there and cannot be read.
    """
    if tree.size(key) < 0:
        return None
    try:
        return text_of(tree.read(key)).splitlines()
    except DamagedImageError as error:
        raise DataError(f"cannot read {tree.path / key}: {error}") from error


def is_image(name: str) -> bool:
    """Whether a base name is one of an image, and not a hidden file such as macOS's `._*` companions."""
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def walk_order(keys: Iterable[str]) -> list[str]:
    """Sorts keys as torchvision's ImageFolder lists them: folders as strings, the files of each before its folders'."""

    def place(key: str) -> tuple[list[str], str]:
        *folders, name = key.split("/")
        return folders, name

    return sorted(keys, key=place)


def refuse_unprintable(where: Path, names: Iterable[str]) -> None:
    """Refuses names that cannot be written into a table, a log and a terminal.

    Raises:
        DataError: Some names are not printable UTF-8; they are listed.
    """
    bad = [name for name in names if not is_printable(name)]
    if bad:
        raise DataError(
            f"{len(bad)} file names below {where} are not printable UTF-8",
            details=[ascii(name) for name in bad],
            hint="rename these files",
        )


def is_printable(name: str) -> bool:
    """Whether a name is UTF-8 without control characters."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return name.isprintable()


def refuse_size(size: int) -> None:
    """Refuses to read a file that cannot be an image of a benchmark.

    Raises:
        DamagedImageError: It is empty or absurdly large.
    """
    if size == 0:
        raise DamagedImageError("the file is empty")
    if size > MAX_BYTES:
        raise DamagedImageError(f"the file has {size:,} bytes; an image of this benchmark has a few thousand")
