"""What a data set holds, part by part, beside what is published of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from sysu30k_bench.data.benchmarks.published import Whole, published_counts
from sysu30k_bench.data.naming.names import JUNK
from sysu30k_bench.data.split import Split
from sysu30k_bench.data.weak.bags import Bags
from sysu30k_bench.data.weak.training_list import TrainingList


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Model):
    """Images of one role.

    Attributes:
        role: `train`, `query` or `gallery`.
        images: All of them.
        identities: People in them; distractors and junk have none.
        cameras: Cameras; None where names do not tell.
        distractors: Images that are nobody's.
        junk: Images that are taken out of every ranking.
    """

    role: str
    images: int
    identities: int
    cameras: int | None
    distractors: int
    junk: int


class BagStats(_Model):
    """The bags of a weakly labelled training set.

    Attributes:
        bags: How many.
        identities: By number of identities in a bag, how many bags.
        edges: Edges of the histogram's bins.
        by_images: Bags with as many images as lie between two edges.
        smallest: Images of the smallest bag.
        median: Images of the middle one.
        largest: Images of the largest.
    """

    bags: int
    identities: dict[int, int]
    edges: list[int]
    by_images: list[int]
    smallest: int
    median: float
    largest: int


class Stats(_Model):
    """A data set on this disk.

    Attributes:
        dataset: Its name.
        root: Where it is.
        parts: Its parts.
        images: All of them together.
        published: Its column of the published table of comparison.
        others: The columns of the other data sets, by title.
        bags: Of a weakly labelled training set.
        notes: What the user should know.
    """

    dataset: str
    root: str
    parts: list[Part]
    images: int
    published: Whole | None
    others: dict[str, Whole]
    bags: BagStats | None
    notes: list[str]


def part_of(split: Split) -> Part:
    """Counts a split; which labels are distractors', its benchmark has said."""
    people, cameras = split.person_ids, split.camera_ids
    distractors = np.isin(people, sorted(split.distractors)) | ((people < 0) & (people != JUNK))
    return Part(
        role=split.role,
        images=len(split),
        identities=len(np.unique(people[~distractors & (people >= 0)])),
        cameras=len(np.unique(cameras)),
        distractors=int(distractors.sum()),
        junk=int((people == JUNK).sum()),
    )


def part_of_training(listed: TrainingList) -> Part:
    """Counts the weakly labelled training set; its folders are identities in name alone."""
    return Part(role="train", images=len(listed), identities=len(listed.folders), cameras=None, distractors=0, junk=0)


def bag_stats(bags: Bags, listed: TrainingList) -> BagStats:
    """Counts bags by their images, in bins of equal ratio as the published figure has them."""
    sizes, identities = bags.sizes(listed), np.diff(bags.start)
    most = int(sizes.max())
    edges = np.unique(np.concatenate([[0, 1], np.geomspace(10, max(most + 1, 11), 13).round()])).astype(int)
    counts, _ = np.histogram(sizes, edges)
    kinds, how_many = np.unique(identities, return_counts=True)
    return BagStats(
        bags=len(bags),
        identities=dict(zip(kinds.tolist(), how_many.tolist(), strict=True)),
        edges=edges.tolist(),
        by_images=counts.tolist(),
        smallest=int(sizes.min()),
        median=float(np.median(sizes)),
        largest=most,
    )


def assemble(
    dataset: str, root: str, parts: Sequence[Part], notes: Sequence[str], bags: BagStats | None = None
) -> Stats:
    """Puts the counts beside what is published.

    Args:
        dataset: The benchmark's name.
        root: Where it was read.
        parts: Its parts.
        notes: What the user should know.
        bags: Of a weakly labelled training set.
    """
    published = published_counts()
    own = published.get(dataset)
    others = {published[name].title: published[name].whole for name in _COLUMNS if name != dataset}
    return Stats(
        dataset=dataset,
        root=root,
        parts=list(parts),
        images=sum(part.images for part in parts),
        published=own.whole if own else None,
        others=others,
        bags=bags,
        notes=list(notes),
    )


_COLUMNS = (
    "cuhk03-labeled",
    "market1501",
    "dukemtmc",
    "msmt17",
    "cuhk01",
    "prid2011",
    "viper",
    "caviar4reid",
    "sysu30k",
)
"""The data sets of the published table, in its order."""
