"""A tree that is a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees.pax import PAX_HEAD, is_pax_header, passed_over
from sysu30k_bench.data.trees.tree import is_image, refuse_size, refuse_unprintable
from sysu30k_bench.errors import DataError
from sysu30k_bench.words import count


class FolderTree:
    """Files below a folder. Links are followed, each folder once; those that leave the folder are noted.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self.faults: list[str] = []

    def entries(self, below: str = "") -> list[str]:
        """See `Tree`."""
        visible = [entry for entry in (self.path / below).iterdir() if entry.name[0] != "."]
        return sorted(entry.name + ("/" if _is_folder(entry) else "") for entry in visible)

    def images(self, below: str) -> list[str]:
        """See `Tree`.

        Raises:
            DataError: A folder cannot be read, or a name is not printable UTF-8.
        """
        walk = _Walk(self.path / below if below else self.path)
        refuse_unprintable(walk.root, walk.found)
        notes = []
        if walk.outside:
            links = count(len(walk.outside), f"link below {walk.root} leads", f"links below {walk.root} lead")
            notes.append(f"{links} out of it (first: {walk.outside[0]})")
        if walk.passed_over:
            notes.append(f"{walk.root}: {passed_over(walk.passed_over)}")
        self.notes += [note for note in notes if note not in self.notes]
        return walk.found

    def has_folder(self, key: str) -> bool:
        """See `Tree`."""
        return _is_folder(self.path / key)

    def size(self, key: str) -> int:
        """See `Tree`."""
        try:
            return (self.path / key).stat().st_size
        except OSError:
            return -1

    def read(self, key: str) -> bytes:
        """See `Tree`."""
        path = self.path / key
        try:
            refuse_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise DamagedImageError(error.strerror or str(error)) from error

    def expect(self, keys: Sequence[str]) -> None:
        """See `Tree`; the file system knows where files lie, and we do not."""


class _Walk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: list[str] = []
        self.outside: list[str] = []
        self.passed_over = 0
        self._real_root = os.path.realpath(root)
        self._visited: set[str] = set()
        self._enter("")

    def _enter(self, prefix: str) -> None:
        place = self.root / prefix
        real = os.path.realpath(place)
        if real in self._visited:  # a link that leads back up would never end
            return
        self._visited.add(real)
        try:
            with os.scandir(place) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(
                f"cannot read the folder {place}: {error.strerror}", hint="check its permissions"
            ) from error
        folders = []
        for entry in entries:
            if entry.is_symlink():
                self._note(prefix + entry.name)
            if _leads_to_a_folder(entry):
                folders.append(entry.name)
            elif is_image(entry.name):
                if is_pax_header(prefix + entry.name, _head, entry.path):
                    self.passed_over += 1
                else:
                    self.found.append(prefix + entry.name)
        for name in folders:
            self._enter(f"{prefix}{name}/")

    def _note(self, link: str) -> None:
        real = os.path.realpath(self.root / link)
        if os.path.commonpath([real, self._real_root]) != self._real_root:
            self.outside.append(f"{link} -> {real}")


def _leads_to_a_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for one: whoever reads it is told
        return False


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  a path of scandir's
            return file.read(PAX_HEAD)
    except OSError:
        return b""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
