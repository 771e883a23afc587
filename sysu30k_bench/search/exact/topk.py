"""The running top-k of every query."""

from __future__ import annotations

import numpy as np

from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.score import TIE

_EMPTY = np.iinfo(np.int64).min
_GRID_END = np.float64(4096)
_GRID_CELLS = round(4096 / TIE)
_JUST_BELOW_HALF = 0.499  # the next cell begins at a half; the division in `cells` is off by up to 1e-4


def cells(scores: np.ndarray) -> np.ndarray:
    """Rounds scores to multiples of 1e-12, as int64: scores in one cell are ordered by gallery position.

    A tolerance between pairs is no order (a may tie b and b tie c while a beats c); a grid is. Beyond 4,096, where
    float64 itself is about as coarse as the grid, each number has a cell of its own.

    Args:
        scores: float64, of any shape.
    """
    rounded: np.ndarray = np.rint(np.clip(scores, -_GRID_END, _GRID_END) / TIE).astype(np.int64)
    far = np.abs(scores) > _GRID_END
    if far.any():
        beyond = np.abs(scores[far]).view(np.int64) - _GRID_END.view(np.int64)
        rounded[far] += np.where(scores[far] > 0, beyond, -beyond)
    return rounded


def _lowest_above(cell: np.ndarray) -> np.ndarray:
    """What a score must reach to have a higher cell, at most; float64."""
    floor: np.ndarray = (cell.astype(np.float64) + _JUST_BELOW_HALF) * TIE
    far = np.abs(cell) >= _GRID_CELLS
    if far.any():
        size = (np.abs(cell[far]) - _GRID_CELLS + _GRID_END.view(np.int64)).view(np.float64)
        floor[far] = np.where(cell[far] > 0, size, -size)
    return floor


class TopK:
    """The best k gallery rows of each query so far: highest cell first, then lowest position.

    Blocks must be offered in the order of the gallery.

    Args:
        queries: Q.
        k: How many to keep, at least 1.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.position = np.full((queries, k), -1, np.int64)
        self.score = np.full((queries, k), -np.inf)
        self._cell = np.full((queries, k), _EMPTY, np.int64)

    @property
    def full(self) -> np.ndarray:
        """Which queries have k candidates already, (Q,) bool."""
        full: np.ndarray = self._cell[:, -1] != _EMPTY
        return full

    @property
    def floor(self) -> np.ndarray:
        """The score that a later row must reach to enter, (Q,) float64; -inf where there is room."""
        full = self.full
        lowest: np.ndarray = np.where(full, _lowest_above(np.where(full, self._cell[:, -1], 0)), -np.inf)
        return lowest

    def span(self, first: int, end: int) -> TopK:
        """Returns the top-k of some consecutive queries, in the same memory."""
        part = object.__new__(TopK)
        part.position, part.score, part._cell = (kept[first:end] for kept in (self.position, self.score, self._cell))
        return part

    def some(self, query: np.ndarray) -> TopK:
        """Returns the top-k of some queries, (R,) ascending, in memory of its own."""
        part = object.__new__(TopK)
        part.position, part.score, part._cell = (kept[query] for kept in (self.position, self.score, self._cell))
        return part

    def put(self, query: np.ndarray, part: TopK) -> None:
        """Takes the top-k of some queries, (R,), in place of its own."""
        self.position[query], self.score[query], self._cell[query] = part.position, part.score, part._cell

    def restore(self, position: np.ndarray, score: np.ndarray) -> None:
        """Takes a saved top-k of the same shape in place of its own.

        Args:
            position: (Q, k) int64.
            score: (Q, k) float64.
        """
        self.position[:], self.score[:] = position, score
        self._cell[:] = np.where(position >= 0, cells(np.where(position >= 0, score, 0.0)), _EMPTY)

    def insert(self, query: np.ndarray, position: np.ndarray, score: np.ndarray) -> None:
        """Does what `offer` does by compiled loops; `query` must ascend."""
        compiled.insert_best(query, position, score, cells(score), (self.position, self.score, self._cell))

    def offer(self, query: np.ndarray, position: np.ndarray, score: np.ndarray) -> None:
        """Offers candidates.

        Args:
            query: (P,) int64.
            position: (P,) int64, gallery positions.
            score: (P,) float64, exact scores.
        """
        rows = np.unique(query)
        k = self.position.shape[1]
        all_query = np.concatenate([np.repeat(rows, k), query])
        all_position = np.concatenate([self.position[rows].ravel(), position])
        all_score = np.concatenate([self.score[rows].ravel(), score])
        all_cell = np.concatenate([self._cell[rows].ravel(), cells(score)])
        order = np.lexsort((all_position, ~all_cell, all_query))  # not -: there is no -_EMPTY
        starts = np.searchsorted(all_query[order], rows)
        best = order[(starts[:, None] + np.arange(k)).ravel()]
        self.position[rows] = all_position[best].reshape(-1, k)
        self.score[rows] = all_score[best].reshape(-1, k)
        self._cell[rows] = all_cell[best].reshape(-1, k)
