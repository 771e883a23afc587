"""Which images, in which bags, make each batch: a function of seed, epoch and number, so that any can be redone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from sysu30k_bench.data.weak.bags import Bags
from sysu30k_bench.data.weak.training_list import TrainingList
from sysu30k_bench.errors import UsageError

Draw = Literal["bag", "identity"]


@dataclass(frozen=True)
class Batch:
    """A batch of images and what is known of them.

    Attributes:
        rows: (N,) int64, the images, as rows of the training table.
        bag: (N,) int64, the bag of each, from 0, ascending.
        classes: The classes of each bag's label; as drawn, so that one may stand twice.
    """

    rows: np.ndarray
    bag: np.ndarray
    classes: list[list[int]]


class Plan(Protocol):
    """All batches of a training run."""

    def length(self) -> int:
        """Returns how many batches an epoch has."""

    def batch(self, epoch: int, number: int) -> Batch:
        """Returns a batch; equal arguments give an equal batch, in any process and any order."""


class IdentityBags:
    """Bags simulated from strong labels: groups of identities, with some images of each (the released MGN recipe).

    Re-drawn bags group the identities anew every epoch, and draw the same number of images of each: as released, though
    an image's identity can then be told by intersecting its bags. Frozen bags keep the groups, and draw from all images
    of a bag whoever they show: the true labels decide nothing but the groups.

    Args:
        identity: (N,) int64, the true class of each image, from 0.
        identities_per_batch: `batchid`.
        identities_per_bag: `bagid`.
        images_per_identity: `batchimage`.
        redraw: Whether bags are re-drawn each epoch.
        seed: Of all drawing.

    Raises:
        UsageError: Bags do not fill a batch, or there are fewer identities than a batch takes.
    """

    def __init__(
        self,
        identity: np.ndarray,
        identities_per_batch: int,
        identities_per_bag: int,
        images_per_identity: int,
        *,
        redraw: bool,
        seed: int,
    ) -> None:
        classes = int(identity.max()) + 1
        if identities_per_batch % identities_per_bag:
            raise UsageError(
                f"bags of {identities_per_bag} identities do not fill batches of {identities_per_batch}",
                hint="identities_per_batch must be a multiple of identities_per_bag",
            )
        if classes < identities_per_batch:
            raise UsageError(
                f"there are {classes} identities to train on, and a batch takes {identities_per_batch}",
                hint="lower bags.identities_per_batch",
            )
        self._rows = _rows_by_class(identity, classes)
        self._classes, self._batch, self._bag = classes, identities_per_batch, identities_per_bag
        self._images, self._redraw, self._seed = images_per_identity, redraw, seed

    def length(self) -> int:
        """See `Plan`; what does not fill a batch is left out of the epoch, as released."""
        return self._classes // self._batch

    def batch(self, epoch: int, number: int) -> Batch:
        """See `Plan`."""
        each = self._batch // self._bag
        groups = self._groups(epoch)[number * each : (number + 1) * each]
        rng = np.random.default_rng([self._seed, 2, epoch, number])
        rows = []
        for group in groups:
            if self._redraw:
                rows += [_draw(rng, self._rows[person], self._images) for person in group]
            else:
                everybody = np.sort(np.concatenate([self._rows[person] for person in group]))
                rows.append(_draw(rng, everybody, self._images * len(group)))
        bag = np.repeat(np.arange(len(groups)), [self._images * len(group) for group in groups])
        return Batch(np.concatenate(rows), bag, [sorted(group) for group in groups])

    def groups(self, epoch: int) -> list[list[int]]:
        """Returns the identities of every bag of an epoch."""
        return self._groups(epoch)

    def _groups(self, epoch: int) -> list[list[int]]:
        count = self._classes // self._bag
        if self._redraw:
            order = np.random.default_rng([self._seed, 1, epoch]).permutation(self._classes)
            grouped: list[list[int]] = order[: count * self._bag].reshape(count, self._bag).tolist()
            return grouped
        order = np.random.default_rng([self._seed, 0]).permutation(self._classes)
        fixed = order[: count * self._bag].reshape(count, self._bag)
        shuffled: list[list[int]] = fixed[np.random.default_rng([self._seed, 1, epoch]).permutation(count)].tolist()
        return shuffled


class WindowBags:
    """Bags simulated from strong labels: windows of neighbouring identities, radius 0, 1, 2 in turn (unary only).

    Args:
        identity: (N,) int64, the true class of each image, from 0.
        bags_per_batch: `idnum`.
        images_per_bag: `batchsize / idnum`.
        draw: `identity` shares a bag's images out among its identities, as released; `bag` draws from all of them.
        seed: Of all drawing.

    Raises:
        UsageError: A bag has fewer images than the largest has identities, or there are fewer identities than bags.
    """

    radii = (0, 1, 2)

    def __init__(
        self, identity: np.ndarray, bags_per_batch: int, images_per_bag: int, *, draw: Draw, seed: int
    ) -> None:
        widest = 2 * self.radii[-1] + 1
        if images_per_bag < widest:
            raise UsageError(
                f"a bag of {images_per_bag} images cannot show {widest} identities",
                hint=f"at least {widest} images a bag: the released 32 images in 12 bags never worked; 180 in 12 does",
            )
        classes = int(identity.max()) + 1
        if classes < bags_per_batch:
            raise UsageError(f"there are {classes} identities, and a batch takes {bags_per_batch} bags")
        self._rows = _rows_by_class(identity, classes)
        self._images, self._bags, self._draw, self._seed = images_per_bag, bags_per_batch, draw, seed
        self._length = max(1, len(identity) // (bags_per_batch * images_per_bag))

    def length(self) -> int:
        """See `Plan`."""
        return self._length

    def batch(self, epoch: int, number: int) -> Batch:
        """See `Plan`."""
        rng = np.random.default_rng([self._seed, 3, epoch, number])
        centres = rng.permutation(len(self._rows))[: self._bags]
        rows, classes = [], []
        for place, centre in enumerate(centres.tolist()):
            radius = self.radii[place % len(self.radii)]
            window = np.clip(np.arange(centre - radius, centre + radius + 1), 0, len(self._rows) - 1).tolist()
            classes.append(sorted(set(window)))
            if self._draw == "identity":
                shares = [self._images // len(window)] * (len(window) - 1)
                shares.append(self._images - sum(shares))
                rows += [_draw(rng, self._rows[one], share) for one, share in zip(window, shares, strict=True)]
            else:
                everybody = np.sort(np.concatenate([self._rows[one] for one in set(window)]))
                rows.append(_draw(rng, everybody, self._images))
        return Batch(np.concatenate(rows), np.repeat(np.arange(self._bags), self._images), classes)


class PublishedBags:
    """Bags as a data set has them: no true label exists.

    Args:
        bags: The bags.
        images: The images.
        bags_per_batch: Bags in a batch.
        images_per_bag: Images drawn from each.
        seed: Of all drawing.

    Raises:
        UsageError: A batch takes more bags than there are, or fewer images of a bag than it has identities.
    """

    def __init__(
        self, bags: Bags, images: TrainingList, bags_per_batch: int, images_per_bag: int, *, seed: int
    ) -> None:
        sizes = bags.sizes(images)
        self._usable = np.flatnonzero(sizes > 0)
        widest = int(np.diff(bags.start).max())
        if images_per_bag < widest:
            raise UsageError(f"a bag of {images_per_bag} images cannot show {widest} identities")
        if len(self._usable) < bags_per_batch:
            raise UsageError(f"{len(self._usable)} bags have images, and a batch takes {bags_per_batch}")
        self._bags, self._images_of, self._per_batch = bags, images, bags_per_batch
        self._per_bag, self._seed = images_per_bag, seed
        self._length = max(1, len(images) // (bags_per_batch * images_per_bag))

    @cached_property
    def identities(self) -> np.ndarray:
        """The folders that stand for the classes, (C,) int64: class c is the c-th."""
        return self._bags.identities

    def length(self) -> int:
        """See `Plan`: as many batches as the images would fill once."""
        return self._length

    def batch(self, epoch: int, number: int) -> Batch:
        """See `Plan`."""
        rng = np.random.default_rng([self._seed, 4, epoch, number])
        drawn = rng.choice(self._usable, self._per_batch, replace=False)
        rows = [_draw(rng, self._bags.rows_of(int(bag), self._images_of), self._per_bag) for bag in drawn]
        classes = [np.searchsorted(self.identities, self._bags.folders_of(int(bag))).tolist() for bag in drawn]
        bag = np.repeat(np.arange(self._per_batch), self._per_bag)
        return Batch(np.concatenate(rows), bag, [sorted(labels) for labels in classes])


def _rows_by_class(identity: np.ndarray, classes: int) -> list[np.ndarray]:
    order = np.argsort(identity, kind="stable")
    return np.split(order, np.searchsorted(identity[order], np.arange(1, classes)))


def _draw(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    """Draws without replacement; where there are too few, from as many copies as it takes."""
    copies = -(-count // max(len(rows), 1))
    drawn: np.ndarray = rng.choice(np.tile(rows, copies), count, replace=False)
    return drawn
