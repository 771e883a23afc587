"""Image files below a folder, in the order in which the reference scripts see them."""

from __future__ import annotations

import os
from pathlib import Path

from sysu30k_bench.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""What torchvision's ImageFolder takes for an image."""


def image_files(folder: Path) -> list[str]:
    """Lists the image files below a folder, sub-folders included, as paths relative to it.

    Folders come in string order and files in string order within each, as torchvision's ImageFolder lists them; hidden
    files (such as macOS's `._*` companions) are passed over. Links to folders are followed, each folder once.

    Args:
        folder: Where to look.

    Returns:
        Relative paths with forward slashes.

    Raises:
        DataError: The folder cannot be read, or a name is not valid UTF-8.
    """
    found: list[str] = []
    visited: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        if os.path.realpath(place) in visited:  # a link that leads back up would never end
            folders.clear()
            continue
        visited.add(os.path.realpath(place))
        folders.sort()
        inner = Path(place).relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        found += [prefix + name for name in sorted(files) if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."]
    _refuse_unprintable(folder, found)
    return found


def _refuse(error: OSError) -> None:
    raise DataError(
        f"cannot read the folder {error.filename}: {error.strerror}", hint="check its permissions"
    ) from error


def _refuse_unprintable(folder: Path, names: list[str]) -> None:
    bad = [name for name in names if not _is_printable_utf8(name)]
    if bad:
        raise DataError(
            f"{len(bad)} file names below {folder} are not printable UTF-8",
            details=[ascii(name) for name in bad],
            hint="rename these files",
        )


def _is_printable_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return name.isprintable()
