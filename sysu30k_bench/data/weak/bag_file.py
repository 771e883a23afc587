"""`bag_level_label.json`: which folders and which labels a bag has, and which of the two readings fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sysu30k_bench.data.trees.text import text_of
from sysu30k_bench.data.weak.bags import Bags
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.words import count

OFFSETS = (0, 1)
_MAX_BYTES = 1 << 30
_MAX_LABEL = 10**8
Label = Annotated[int, Field(ge=0, le=_MAX_LABEL, strict=True)]


class _Entry(BaseModel):
    """One bag, under the names of the file."""

    model_config = ConfigDict(extra="forbid")

    BagLabel: Annotated[list[Label], Field(min_length=1, max_length=10_000)]
    BagID: Annotated[str, Field(pattern=r"^bag[0-9]{1,17}$")]
    BagImages: Annotated[list[Annotated[str, Field(pattern=r"^[0-9]{1,10}/.*$")]], Field(max_length=10_000)]


@dataclass(frozen=True)
class BagFile:
    """The file as it is.

    Attributes:
        number: (B,) int64, of `BagID`.
        start: (B + 1,) int64, where each bag's labels begin.
        label: (K,) int64, each once a bag.
        repeated: Labels or folders that stood more than once in a bag, all in all.
        folder_less_label: For 0 and 1: in how many bags the folders of `BagImages` are the labels plus that.
    """

    number: np.ndarray
    start: np.ndarray
    label: np.ndarray
    repeated: int
    folder_less_label: dict[int, int]

    def bags(self, id_offset: int) -> Bags:
        """Reads the labels as folders.

        Args:
            id_offset: Folder number less label: 1 where labels count from 0, as seems to be so; 0 where they are
                folder numbers.
        """
        notes = []
        if self.repeated:
            notes.append(f"{self.repeated:,} labels or folders occur more than once in a bag, and count once")
        return Bags(self.number, self.start, self.label + id_offset, notes)


@dataclass(frozen=True)
class OffsetReport:
    """How one reading of the labels fits the folders that there are.

    Attributes:
        id_offset: Folder number less label.
        missing: Folders that bags name and that have no images.
        unnamed: Folders with images that no bag names.
        literal: Bags whose `BagImages` name exactly these folders.
    """

    id_offset: int
    missing: list[int]
    unnamed: list[int]
    literal: int


def read_bag_file(path: Path) -> BagFile:
    """Reads the JSON: a list of `{"BagLabel": [...], "BagID": "bag0000000010", "BagImages": ["0000000002/*", ...]}`.

    Args:
        path: The file, by whatever name; one README calls it `.txt`.

    Raises:
        DataError: It cannot be read.
        IntegrityError: It is not such a list, or names a bag twice.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise IntegrityError(f"{path} has {path.stat().st_size:,} bytes; the published file has a few million")
        entries = TypeAdapter(list[_Entry]).validate_json(text_of(path.read_bytes(), errors="strict"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{path} is not a list of bags: {error}", hint="download it again") from error
    except ValidationError as error:
        raise IntegrityError(
            f"{path} is not a list of bags: {count(error.error_count(), 'fault')}",
            details=[f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:100]],
            hint='an entry must look like {"BagLabel": [3], "BagID": "bag0000000009", "BagImages": ["0000000003/*"]}',
        ) from error
    if not entries:
        raise IntegrityError(f"{path} lists no bag", hint="download it again")
    number = np.array([int(entry.BagID[3:]) for entry in entries], np.int64)
    unique, counts = np.unique(number, return_counts=True)
    if (counts > 1).any():
        raise IntegrityError(
            f"{path}: {count(int((counts > 1).sum()), 'bag is', 'bags are')} listed twice",
            details=[f"bag{again:010d}" for again in unique[counts > 1].tolist()[:100]],
        )
    labels = [list(dict.fromkeys(entry.BagLabel)) for entry in entries]
    folders = [list(dict.fromkeys(int(image.partition("/")[0]) for image in entry.BagImages)) for entry in entries]
    repeated = sum(len(entry.BagLabel) - len(label) for entry, label in zip(entries, labels, strict=True))
    repeated += sum(len(entry.BagImages) - len(folder) for entry, folder in zip(entries, folders, strict=True))
    literal = {
        offset: sum(
            {one + offset for one in label} == set(folder) for label, folder in zip(labels, folders, strict=True)
        )
        for offset in OFFSETS
    }
    start = np.concatenate([[0], np.cumsum([len(label) for label in labels])])
    return BagFile(number, start, np.array([one for label in labels for one in label], np.int64), repeated, literal)


def compare_offsets(file: BagFile, folders: np.ndarray) -> list[OffsetReport]:
    """Holds both readings of the labels against the folders that have images.

    Args:
        file: The bags.
        folders: (F,) folder numbers, ascending.
    """
    labels = np.unique(file.label)
    return [
        OffsetReport(
            offset,
            np.setdiff1d(labels + offset, folders).tolist(),
            np.setdiff1d(folders, labels + offset).tolist(),
            file.folder_less_label[offset],
        )
        for offset in OFFSETS
    ]


def fitting_offset(reports: list[OffsetReport]) -> int | None:
    """Returns the reading under which fewer folders are missing; None where both are as good."""
    first, second = (len(report.missing) + len(report.unnamed) for report in reports)
    return None if first == second else reports[int(second < first)].id_offset
