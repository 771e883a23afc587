"""What a batch may know of its labels: for each image, the identities of its bag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class BagLabels:
    """Weak labels of N images, in lists no longer than the largest bag's: no (N, classes) tensor is ever made.

    Attributes:
        candidate: (N, M) int64, the classes that an image may be of, ascending; -1 behind the last.
        prior: (N, M) float, equation 1 of the paper: the share of each class in the bag's label; 0 behind the last.
        bag: (N,) int64, the bag of each image; images of one bag have the same row.
    """

    candidate: torch.Tensor
    prior: torch.Tensor
    bag: torch.Tensor

    @classmethod
    def of(cls, bags: Sequence[Sequence[int]], bag: Sequence[int] | torch.Tensor) -> BagLabels:
        """Makes the labels of a batch.

        Args:
            bags: The classes of each bag. A class that stands twice counts twice in the prior, as in the released code.
            bag: (N,) the bag of each image.

        Raises:
            ValueError: A bag has no class.
        """
        which = torch.as_tensor(bag, dtype=torch.int64)
        classes = [sorted(set(labels)) for labels in bags]
        if not all(classes):
            raise ValueError("a bag without an identity cannot label an image")
        width = max(len(labels) for labels in classes)
        candidate = torch.full((len(bags), width), -1, dtype=torch.int64)
        prior = torch.zeros(len(bags), width)
        for row, (labels, all_labels) in enumerate(zip(classes, bags, strict=True)):
            candidate[row, : len(labels)] = torch.tensor(labels)
            prior[row, : len(labels)] = torch.tensor([list(all_labels).count(one) / len(all_labels) for one in labels])
        return cls(candidate[which], prior[which], which)

    def to(self, device: torch.device) -> BagLabels:
        """Moves the labels to a device."""
        return BagLabels(self.candidate.to(device), self.prior.to(device), self.bag.to(device))

    @property
    def known(self) -> torch.Tensor:
        """(N, M) bool, where there is a candidate."""
        return self.candidate >= 0

    def gather(self, scores: torch.Tensor) -> torch.Tensor:
        """Returns (N, M), each image's scores (N, C) of its candidates; anything behind the last."""
        return scores.gather(1, self.candidate.clamp_min(0))

    def sharing(self) -> torch.Tensor:
        """Returns (N, N) bool: whether two images' bags have an identity in common (Y_i . Y_j > 0)."""
        bags, place = torch.unique(self.bag, return_inverse=True)
        first = torch.zeros(len(bags), dtype=torch.int64, device=place.device)
        first.scatter_(0, place, torch.arange(len(place), device=place.device))
        rows = self.candidate[first]
        equal = (rows[:, None, :, None] == rows[None, :, None, :]) & (rows >= 0)[:, None, :, None]
        return equal.flatten(2).any(dim=2)[place][:, place]
