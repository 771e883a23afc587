"""The published counts of each benchmark, and which reading of them a folder fits."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict


class Reading(BaseModel):
    """One way to understand a published gallery size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int
    reading: str


class Whole(BaseModel):
    """A column of the table that compares the data sets, as the authors of SYSU-30k printed it.

    Attributes:
        identities: "Categories".
        images: Images.
        cameras: Cameras; None for "countless".
        scene: Where they stand.
        annotation: What is labelled: images (strong) or bags (weak).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identities: int
    images: int
    cameras: int | None = None
    scene: str
    annotation: str


class PublishedCounts(BaseModel):
    """What a benchmark's authors say that it holds.

    Attributes:
        title: Its name, for people.
        query: Queries; None where that depends on the split.
        gallery: Ways to read the published size of the gallery; none where that depends on the split.
        source: Where that is published.
        whole: Train and test together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    query: int | None = None
    source: str
    gallery: list[Reading] = []
    whole: Whole

    def compare(self, query_count: int, gallery_count: int) -> tuple[list[str], list[str]]:
        """Compares counts on the disk with the published ones.

        Args:
            query_count: Query images found.
            gallery_count: Gallery images found.

        Returns:
            What to tell the user, and the reasons why these are not the published lists (empty where they are).
        """
        notes, reasons = [], []
        if self.query is not None and query_count != self.query:
            reasons.append(f"{query_count:,} query images; {self.title} publishes {self.query:,}")
        fitting = [reading for reading in self.gallery if reading.count == gallery_count]
        if fitting:
            if len(self.gallery) > 1:
                notes.append(f"the gallery of {gallery_count:,} images fits the reading: {fitting[0].reading}")
        elif not self.gallery and self.query is None:
            reasons.append(f"{self.title} publishes no lists or counts to compare these with")
        elif self.gallery:
            readings = ", ".join(f"{reading.count:,}" for reading in self.gallery)
            reasons.append(f"{gallery_count:,} gallery images; the published figures allow {readings}")
        return notes, reasons


@cache
def published_counts() -> dict[str, PublishedCounts]:
    """Returns the published counts by data set name."""
    text = resources.files("sysu30k_bench.data.benchmarks").joinpath("published.toml").read_text("utf-8")
    return {name: PublishedCounts.model_validate(value) for name, value in tomllib.loads(text).items()}
