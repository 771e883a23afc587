"""From a path to a tree: a folder, a tar, a zip, or a folder with the parts of a download in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sysu30k_bench.data.trees.archive import ArchiveTree, Index
from sysu30k_bench.data.trees.folder import FolderTree
from sysu30k_bench.data.trees.tar import TarIndex
from sysu30k_bench.data.trees.tar_index import ready_index
from sysu30k_bench.data.trees.tar_scan import first_names
from sysu30k_bench.data.trees.tree import Tree
from sysu30k_bench.data.trees.zip import ZipIndex
from sysu30k_bench.errors import DataError
from sysu30k_bench.progress import Progress, Silent

_NAMES_LOOKED_AT = 32
_CHECKPOINTS = (".pth.tar", ".pt.tar", ".ckpt.tar")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def check_root(root: Path) -> None:
    """Refuses a path that does not exist or cannot be read.

    Raises:
        DataError: It is so.
    """
    try:
        present, folder = root.exists(), root.is_dir()
    except OSError:
        present = folder = False
    if not present:
        raise DataError(
            f"there is no folder or archive {root}",
            hint="point --data at the folder above query/ and gallery/, or at the archive",
        )
    if not os.access(root, os.R_OK | os.X_OK if folder else os.R_OK):
        raise DataError(f"cannot read {'the folder ' if folder else ''}{root}", hint="check its permissions")


def archives_in(folder: Path) -> list[Path]:
    """Returns the tars and zips directly in a folder, in the order of their names; no checkpoints called `.pth.tar`."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix in {".tar", ".zip"}
        and not entry.name.lower().endswith(_CHECKPOINTS)
        and entry.name[0] != "."
        and entry.is_file()
    )


def open_archives(
    root: Path, wanted: Callable[[list[str]], bool] | None = None, progress: Progress | None = None
) -> Tree:
    """Opens an archive, or all archives in a folder, as one tree.

    Args:
        root: An archive or a folder.
        wanted: Says by the names of a tar's first members whether it belongs to what is asked for; the others are
            neither indexed nor opened. An archive that is named itself is always opened.
        progress: Told of tars being indexed.

    Returns:
        The tree; one without files where a folder holds no such archive.

    Raises:
        DataError: An archive cannot be read.
    """
    progress = progress or Silent()
    if root.is_dir():
        paths = [path for path in archives_in(root) if wanted is None or _is_wanted(path, wanted)]
    else:
        paths = [root]
    return ArchiveTree(root, [open_index(path, progress) for path in paths])


def open_index(path: Path, progress: Progress) -> Index:
    """Opens one archive; a tar is indexed first where it is not yet.

    Raises:
        DataError: It cannot be read.
    """
    if path.name.endswith(_COMPRESSED):
        raise DataError(
            f"{path} is compressed, so its members cannot be read in place",
            hint=f"decompress it once, e.g. `gunzip {path.name}`; the tar itself need not be unpacked",
        )
    if path.suffix == ".zip":
        return ZipIndex(path)
    return TarIndex(path, ready_index(path, progress))


def open_folder(root: Path) -> Tree:
    """Opens a folder of files."""
    return FolderTree(root)


def _is_wanted(path: Path, wanted: Callable[[list[str]], bool]) -> bool:
    return path.suffix != ".tar" or wanted(first_names(path, _NAMES_LOOKED_AT))
