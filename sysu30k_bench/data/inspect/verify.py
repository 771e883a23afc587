"""Whether archives are whole and images decode."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sysu30k_bench.cpu_count import usable_processors
from sysu30k_bench.data.images import DamagedImageError, ImageSource, Remarks, check_image
from sysu30k_bench.data.trees.open_tree import archives_in, check_root, open_index
from sysu30k_bench.data.trees.tar import TarIndex
from sysu30k_bench.errors import DataError, UnwritableError
from sysu30k_bench.progress import Progress

_AT_ONCE = 256


class ArchiveReport(BaseModel):
    """One archive.

    Attributes:
        name: Of its file.
        bytes: Of its file.
        members: Files in it that can be reached.
        faults: What cannot, and why.
        notes: What is unusual, and no fault.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    bytes: int
    members: int
    faults: list[str]
    notes: list[str] = []


class ImagesReport(BaseModel):
    """The images of one part.

    Attributes:
        images: How many there are.
        damaged: Those that do not decode, each with the reason.
        rotated: How many carry an EXIF orientation other than upright, which the protocol ignores.
        scaled: How many have 16 bits a pixel, which are scaled to 8.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    damaged: dict[str, str]
    rotated: int
    scaled: int = 0


def verify_archives(root: Path, progress: Progress) -> list[ArchiveReport]:
    """Goes through every archive at a path: their directories and headers, not their images.

    Args:
        root: An archive, or a folder.
        progress: Told of tars being indexed.

    Raises:
        DataError: There is nothing there, or an index can be written nowhere.
    """
    check_root(root)
    reports = []
    for path in archives_in(root) if root.is_dir() else [root]:
        size = path.stat().st_size
        try:
            index = open_index(path, progress)
        except UnwritableError:
            raise  # no fault of the archive
        except DataError as error:  # the other parts of a download are of interest, too
            reports.append(ArchiveReport(name=path.name, bytes=size, members=0, faults=[error.message]))
            continue
        faults = [str(fault) for fault in index.faults()] if isinstance(index, TarIndex) else index.complaints()
        members = index.count() if isinstance(index, TarIndex) else sum(1 for _ in index.below(""))
        report = ArchiveReport(name=path.name, bytes=size, members=members, faults=faults, notes=index.remarks())
        reports.append(report)
    return reports


def verify_images(source: ImageSource, keys: Sequence[str], title: str, progress: Progress) -> ImagesReport:
    """Reads and decodes every image.

    Args:
        source: Where they are.
        keys: Their keys.
        title: What they are, for the progress display.
        progress: Receives the number of finished images.
    """
    damaged: dict[str, str] = {}
    rotated = scaled = 0
    progress.begin(f"decode {title}", len(keys), "images")
    with ThreadPoolExecutor(usable_processors()) as pool:  # Pillow decodes without holding the interpreter's lock
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            source.expect(part)
            for key, outcome in zip(part, pool.map(lambda key: _look(source, key), part), strict=True):
                if isinstance(outcome, str):
                    damaged[key] = outcome
                else:
                    rotated += outcome.rotated
                    scaled += outcome.scaled
            progress.advance(len(part))
    progress.end()
    return ImagesReport(images=len(keys), damaged=damaged, rotated=rotated, scaled=scaled)


def _look(source: ImageSource, key: str) -> str | Remarks:
    try:
        return check_image(source.read(key))
    except DamagedImageError as error:
        return str(error)
