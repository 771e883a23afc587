"""One block of the gallery against all queries: approximate scores, their error, and exact ones on demand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sysu30k_bench.search.engine import Engine, underflow_error
from sysu30k_bench.search.score import column_slices, pair_scores, product_error, tree_error

FLOAT64_UNIT = 2.0**-53
_NORM_SLACK = 1.001  # a float32 norm of 28,310 numbers is within 0.02 % of the real one
_NUMBERS_AT_ONCE = 4 << 20
DENSE_SHARE = 0.005
DENSE_PAIRS = 2048
"""Above this share, and this number, of undecided pairs a float64 matrix product is cheaper than scoring each."""
_DENSE_QUERIES = 128


class BlockScores:
    """The scores of a block.

    Args:
        queries: (Q, D) float32.
        block: (B, D) float32.
        engine: Gives the approximate scores.
        query_norms: (Q,) float64.
    """

    def __init__(self, queries: np.ndarray, block: np.ndarray, engine: Engine, query_norms: np.ndarray) -> None:
        dimension = block.shape[1]
        self._queries = queries
        self._block = block
        largest = _NORM_SLACK * float(np.linalg.norm(block, axis=1).max())
        scale = _NORM_SLACK * query_norms * largest
        underflow = underflow_error(dimension, max(largest, float(query_norms.max())))
        self.approximate = engine.scores(block)
        self.error = engine.relative_error(dimension) * scale + underflow
        self.float64_error = (product_error(dimension, FLOAT64_UNIT) + tree_error(dimension)) * scale

    def exclude(self, query: np.ndarray | slice, column: np.ndarray) -> None:
        """Takes pairs out of the ranking.

        Args:
            query: Their queries, or all of them.
            column: Their columns in the block.
        """
        self.approximate[query, column] = -np.inf

    def is_dense(self, pairs: int) -> bool:
        """Says whether so many undecided pairs are better looked at through `float64_rows`."""
        return pairs > max(DENSE_PAIRS, DENSE_SHARE * self.approximate.size)

    def exact(self, query: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Scores pairs by the rule of `pair_scores`; (P,) float64."""
        out = np.empty(len(query))
        at_once = max(16, _NUMBERS_AT_ONCE // self._block.shape[1])
        for start in range(0, len(query), at_once):
            part = slice(start, start + at_once)
            out[part] = pair_scores(self._queries[query[part]], self._block[column[part]])
        return out

    def float64_rows(self, query: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Scores whole rows by float64 matrix products.

        Args:
            query: (R,) the queries wanted.

        Yields:
            Runs of at most 128 entries of `query`, as their places (r,) in it, and their scores (r, B) float64, within
            `float64_error` of the exact ones.
        """
        runs = column_slices(self._block.shape[1])
        gallery = [self._block[:, run].astype(np.float64) for run in runs]
        for start in range(0, len(query), _DENSE_QUERIES):
            places = np.arange(start, min(start + _DENSE_QUERIES, len(query)))
            rows = self._queries[query[places]]
            parts = [rows[:, run].astype(np.float64) @ columns.T for run, columns in zip(runs, gallery, strict=True)]
            yield places, np.sum(parts, axis=0) if len(parts) > 1 else parts[0]


def at_most(bound: np.ndarray) -> np.ndarray:
    """Rounds float64 bounds down to float32."""
    rounded = bound.astype(np.float32)
    return np.where(rounded.astype(np.float64) > bound, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def at_least(bound: np.ndarray) -> np.ndarray:
    """Rounds float64 bounds up to float32."""
    return -at_most(-bound)
