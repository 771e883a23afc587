"""Checkpoints in a folder: those that are new, whole, and still there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sysu30k_bench.files import remove_quietly, sha256_of_file, unwritable

SUFFIXES = frozenset({".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".tar", ".pyth"})
_DEPTH = 4
Stamp = tuple[int, int]


@dataclass(frozen=True)
class Snapshot:
    """A copy of a checkpoint, which nobody writes to any more.

    Attributes:
        name: The checkpoint's path below the folder that is watched.
        copy: The copy.
        sha256: Of its bytes.
        stamp: Time of the checkpoint's last change, and its size.
    """

    name: str
    copy: Path
    sha256: str
    stamp: Stamp


@dataclass
class Finder:
    """Looks for checkpoints.

    Attributes:
        folders: What is watched.
        own: The watch's own folder, which is passed over.
        settle: Looks during which a file has to stay as it is before it counts as whole.
        seen: Stamps at the last look, and for how many looks they have been the same.
    """

    folders: list[Path]
    own: Path
    settle: int = 1
    seen: dict[Path, tuple[Stamp, int]] = field(default_factory=dict)

    def look(self) -> list[tuple[Path, str]]:
        """Returns the checkpoints that have settled, the oldest first, each with its name."""
        settled: list[tuple[Stamp, Path, str]] = []
        now: dict[Path, tuple[Stamp, int]] = {}
        for folder in self.folders:
            for path in _files(folder, self.own, _DEPTH):
                stamp = stamp_of(path)
                if stamp is None or not stamp[1]:
                    continue
                before, count = self.seen.get(path, (None, 0))
                now[path] = (stamp, count + 1 if stamp == before else 0)
                if now[path][1] >= self.settle:
                    name = path.relative_to(folder) if len(self.folders) == 1 else path
                    settled.append((stamp, path, name.as_posix()))
        self.seen = now
        return [(path, name) for _, path, name in sorted(settled)]

    def snapshot(self, path: Path, name: str) -> Snapshot | None:
        """Copies a checkpoint; None where it was changed or deleted meanwhile.

        Raises:
            DataError: The copy cannot be written.
        """
        before = stamp_of(path)
        copy = self.own / f"candidate{path.suffix}"
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        except FileNotFoundError:
            remove_quietly(copy)
            return None
        except OSError as error:
            remove_quietly(copy)
            raise unwritable(copy, error) from error
        if before is None or stamp_of(path) != before:
            remove_quietly(copy)
            return None
        return Snapshot(name, copy, sha256_of_file(copy), before)


def stamp_of(path: Path) -> Stamp | None:
    """Returns the time of a file's last change in nanoseconds, and its size; None where it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _files(folder: Path, own: Path, depth: int) -> Iterator[Path]:
    with suppress(OSError):
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith(".") or entry.resolve() == own.resolve():
                continue
            if entry.is_dir() and not entry.is_symlink() and depth:
                yield from _files(entry, own, depth - 1)
            elif entry.suffix.lower() in SUFFIXES and entry.is_file():
                yield entry
