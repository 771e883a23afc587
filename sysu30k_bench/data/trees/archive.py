"""What trees inside archives share: names are looked up in an index, and links are never followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.trees.tree import is_image, is_printable, refuse_size, refuse_unprintable, walk_order
from sysu30k_bench.errors import DataError
from sysu30k_bench.words import count


class Member(NamedTuple):
    """Where a member's bytes are."""

    offset: int
    size: int


class Index(Protocol):
    """One archive's members."""

    path: Path

    def find(self, key: str) -> Member | None:
        """Finds a member by its name."""

    def below(self, prefix: str, limit: int | None = None) -> Iterable[str]:
        """Names that start with a prefix, sorted by their UTF-8 bytes."""

    def roots(self, prefix: str = "") -> list[str]:
        """First parts of all names, or of what follows a prefix in them; those of folders end in a slash."""

    def read(self, key: str, member: Member) -> bytes:
        """Reads a member's bytes, or raises `DamagedImageError`."""

    def expect(self, members: Sequence[Member]) -> None:
        """Asks the disk for members, in the order of their offsets."""

    def complaints(self) -> list[str]:
        """What is wrong with the archive."""

    def remarks(self) -> list[str]:
        """What is unusual about the archive, and no fault."""


class ArchiveTree:
    """The members of one archive or of several, as one tree.

    Args:
        path: The archive, or the folder that holds the archives.
        indexes: Their indexes, in the order of their names.
    """

    def __init__(self, path: Path, indexes: Sequence[Index]) -> None:
        self.path = path
        self._indexes = indexes
        self.notes = [remark for index in indexes for remark in index.remarks()]
        self.faults = [complaint for index in indexes for complaint in index.complaints()]

    def entries(self, below: str = "") -> list[str]:
        """See `Tree`."""
        return sorted({root for index in self._indexes for root in index.roots(f"{below}/" if below else "")})

    def images(self, below: str) -> list[str]:
        """See `Tree`.

        Raises:
            DataError: A name is not printable UTF-8, or two archives hold the same one.
        """
        prefix = f"{below}/" if below else ""
        found: list[str] = []
        for index in self._indexes:
            found += [name[len(prefix) :] for name in index.below(prefix) if is_image(name.rpartition("/")[2])]
        refuse_unprintable(self.path / below, found)
        if len(self._indexes) > 1 and len(set(found)) < len(found):
            double = count(len(found) - len(set(found)), "image lies", "images lie")
            raise DataError(
                f"{double} in more than one archive of {self.path}",
                details=[
                    f"{index.path.name}: {sum(1 for _ in index.below(prefix)):,} files" for index in self._indexes
                ],
                hint="was one downloaded twice? Move the copy away",
            )
        return walk_order(found)

    def has_folder(self, key: str) -> bool:
        """See `Tree`."""
        return any(True for index in self._indexes for _ in index.below(f"{key}/" if key else "", 1))

    def size(self, key: str) -> int:
        """See `Tree`."""
        found = self._find(key)
        return -1 if found is None else found[1].size

    def read(self, key: str) -> bytes:
        """See `Tree`."""
        found = self._find(key)
        if found is None:
            raise DamagedImageError("there is no such member")
        index, member = found
        refuse_size(member.size)
        return index.read(key, member)

    def expect(self, keys: Sequence[str]) -> None:
        """See `Tree`."""
        for index in self._indexes:
            index.expect([member for key in keys if (member := index.find(key)) is not None])

    def _find(self, key: str) -> tuple[Index, Member] | None:
        for index in self._indexes:
            member = index.find(key)
            if member is not None:
                return index, member
        return None


def clean_name(name: str) -> tuple[str, str | None]:
    """Brings a member's name into the form of a key.

    Args:
        name: As the archive has it.

    Returns:
        The key, and why it is refused, if it is: absolute paths and `..` could lead anywhere.
    """
    key = "/".join(part for part in name.split("/") if part not in {"", "."})
    printable = is_printable(key)
    shown = key if printable else ascii(key)
    if name.startswith("/"):
        return shown, "an absolute path"
    if not key:
        return ascii(name), "no name"
    if ".." in key.split("/"):
        return shown, "a path with `..`"
    return shown, None if printable else "a name that is not printable UTF-8"
