"""How well pseudo-labels tell the people of a bag apart."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def matched_share(chosen: np.ndarray, truth: np.ndarray, bag: np.ndarray) -> float:
    """Returns the share of images whose pseudo-label is right after the best renaming inside each bag.

    The identities of a bag that never meet others have no names of their own: nothing in its label says which of two
    people is which. What a method can find out is who is the same person as whom.

    Args:
        chosen: (N,) pseudo-labels.
        truth: (N,) true labels.
        bag: (N,) the bag of each image.
    """
    right = 0
    for number in np.unique(bag):
        rows = bag == number
        _, ours = np.unique(chosen[rows], return_inverse=True)
        _, theirs = np.unique(truth[rows], return_inverse=True)
        together = np.zeros((ours.max() + 1, theirs.max() + 1), np.int64)
        np.add.at(together, (ours, theirs), 1)
        right += int(together[linear_sum_assignment(together, maximize=True)].sum())
    return right / len(bag)
