"""A split: which images, of whom, by which camera, in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.naming.names import Labels

Role = Literal["query", "gallery", "train"]
ROLES: tuple[Role, Role] = ("query", "gallery")
"""The roles of a test."""


@dataclass(frozen=True)
class Split:
    """The images of one role, in the order in which they are embedded and ranked.

    Attributes:
        role: What the images are for.
        table: One row an image: `key` (path below the data set's root, with forward slashes), `person_id` (int64),
            `camera_id` (int64), `role`.
        distractors: Labels that stand for nobody in this benchmark, and are ranked.
    """

    role: Role
    table: pd.DataFrame
    distractors: frozenset[int] = frozenset()

    @classmethod
    def of(cls, role: Role, keys: Sequence[str], labels: Sequence[Labels]) -> Split:
        """Makes a split of parallel sequences of keys and labels."""
        persons = np.fromiter((label.person_id for label in labels), np.int64, len(labels))
        cameras = np.fromiter((label.camera_id for label in labels), np.int64, len(labels))
        table = pd.DataFrame({"key": list(keys), "person_id": persons, "camera_id": cameras, "role": role})
        return cls(role, table)

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def keys(self) -> list[str]:
        """The images' keys, in order; made once, and not to be changed."""
        return list(self.table["key"])

    @property
    def person_ids(self) -> np.ndarray:
        """Identity labels, (N,) int64."""
        return self.table["person_id"].to_numpy(np.int64)

    @property
    def camera_ids(self) -> np.ndarray:
        """Camera labels, (N,) int64."""
        return self.table["camera_id"].to_numpy(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the rows in order, in hex: equal exactly when keys, labels, role and order are equal."""
        return rows_fingerprint(self.role, self.keys, self.person_ids, self.camera_ids)

    def take(self, positions: np.ndarray) -> Split:
        """Returns the rows at the given positions, in the order given."""
        return replace(self, table=self.table.iloc[positions].reset_index(drop=True))


def rows_fingerprint(role: str, keys: Sequence[str], person_ids: np.ndarray, camera_ids: np.ndarray) -> str:
    r"""Hashes the rows of a split: SHA-256 over `key\tperson\tcamera\trole\n` for each row in order.

    Args:
        role: `query` or `gallery`.
        keys: The images' keys, N of them.
        person_ids: (N,) integers.
        camera_ids: (N,) integers.
    """
    digest = hashlib.sha256()
    for key, person, camera in zip(keys, person_ids.tolist(), camera_ids.tolist(), strict=True):
        digest.update(f"{key}\t{person}\t{camera}\t{role}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class TestSet:
    """A benchmark's test as it is on this disk.

    Attributes:
        dataset: The benchmark's name, such as `sysu30k`.
        root: Where it is, for people: a folder, or a folder in an archive.
        images: Where the images' bytes come from, by key.
        query: The probes.
        gallery: What is searched, distractors and junk included.
        warnings: What the user should know about these files.
        not_official: Why a result on these files is not one on the published test, if it is not.
        drawn: Whether the images are a synthetic twin's.
        split_number: Which of the standard splits, for benchmarks with several.
        whole_gallery: How many images the gallery has of which this is a part; None where it is whole.
    """

    __test__ = False

    dataset: str
    root: Path
    images: ImageSource
    query: Split
    gallery: Split
    warnings: list[str] = field(default_factory=list)
    not_official: list[str] = field(default_factory=list)
    drawn: bool = False
    split_number: int | None = None
    whole_gallery: int | None = None

    def __repr__(self) -> str:
        part = "" if self.whole_gallery is None else f" of {self.whole_gallery:,}"
        return (
            f"<{self.dataset} at {self.root}: {len(self.query):,} queries, {len(self.gallery):,}{part} gallery images>"
        )

    def split(self, role: Role) -> Split:
        """Returns the split of a role."""
        return self.query if role == "query" else self.gallery
