"""One block of the gallery against all queries: approximate scores, their error, and exact ones on demand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sysu30k_bench.search.engines.engine import Approximate, Engine, float32_bound
from sysu30k_bench.search.exact import compiled
from sysu30k_bench.search.score import column_slices, pair_scores, product_error, tree_error

FLOAT64_UNIT = 2.0**-53
_NUMBERS_AT_ONCE = 4 << 20
DENSE_SHARE = 0.005
COMPILED_DENSE_SHARE = 0.05
DENSE_PAIRS = 2048
"""Above this share, and this number, of undecided pairs a float64 matrix product is cheaper than scoring each."""
_DENSE_QUERIES = 128


class Rows:
    """Rows with upper bounds of their norms.

    Args:
        values: (N, D) float32.
        fast: Use the compiled loop.
        norms: As measured in float64, where that was done already.

    Attributes:
        values: As given.
        norms: (N,) float64, as measured; infinite or NaN where a row is.
        bounds: (N,) float64, never below the real norm.
    """

    def __init__(self, values: np.ndarray, *, fast: bool = False, norms: np.ndarray | None = None) -> None:
        self.values = values
        if norms is not None or fast:
            self.norms = compiled.norms(values) if norms is None else norms
            self.bounds = self.norms * (1 + 1e-9)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                self.norms = np.linalg.norm(values, axis=1).astype(np.float64)
            self.bounds = self.norms * 1.001  # a float32 norm of 28,310 numbers is within 0.02 % of the real one


class BlockScores:
    """The scores of a block.

    Args:
        queries: The queries.
        block: The block's rows.
        engine: Gives the approximate scores.
        fast: Use the compiled loops.
        finest: Use the engine's smallest error from the start.

    Attributes:
        approximate: (Q, B) float32; excluded pairs are minus infinity.
        refined: Whether the engine's smallest error was called for.
        coarse: Whether float32 would decide what these scores leave open.
        error: (Q,) float64, how far a score may be from the real one, beside `rounding` of its size.
        rounding: Relative error of the last rounding; it keeps the order of the scores.
    """

    def __init__(self, queries: Rows, block: Rows, engine: Engine, *, fast: bool = False, finest: bool = False) -> None:
        dimension = block.values.shape[1]
        self.queries = queries.values
        self.rows = block.values
        self.fast = fast
        largest = float(block.bounds.max())
        self._engine, self._bounds = engine, block.bounds
        self._excluded: list[tuple[np.ndarray | slice, np.ndarray]] = []
        scale = queries.bounds * largest
        # the score that decides is itself rounded (the tree), and so are thresholds computed from it
        self._definition = (tree_error(dimension) + 4 * FLOAT64_UNIT) * scale
        given = engine.finer(block.values, block.bounds) if finest else None
        self.refined = given is not None
        self.float32_error = float32_bound(dimension, queries.bounds, largest) + self._definition
        self.float64_error = product_error(dimension, FLOAT64_UNIT) * scale + self._definition
        self._take(given or engine.scores(block.values, block.bounds))

    def refine(self) -> bool:
        """Scores the block again with the engine's smallest error; False where that was done already."""
        given = None if self.refined else self._engine.finer(self.rows, self._bounds)
        if given is None:
            return False
        self._take(given)
        self.refined = True
        for query, column in self._excluded:
            self.approximate[query, column] = -np.inf
        return True

    def _take(self, given: Approximate) -> None:
        self.approximate = given.scores
        self.error = given.error + self._definition
        self.rounding = given.rounding * (1 + 2.0**-20)
        self.coarse = bool(given.rounding > 0 or (self.error > 1.5 * self.float32_error).any())

    def surely_above(self, bound: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Returns float32 thresholds: a pair whose approximate score is above them scores above `bound`.

        Args:
            bound: (T,) float64.
            query: (T,) the query of each.
        """
        threshold = bound + self.error[query]
        return at_least(threshold + self.rounding * np.abs(threshold))

    def may_reach(self, bound: np.ndarray, query: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Returns float32 thresholds: a pair that scores `bound` or more has an approximate score at or above them."""
        threshold = bound - self.error[query]
        with np.errstate(invalid="ignore"):
            lowered = threshold - self.rounding * np.abs(threshold)
        return at_most(np.where(np.isneginf(threshold), threshold, lowered))

    def exclude(self, query: np.ndarray | slice, column: np.ndarray) -> None:
        """Takes pairs out of the ranking.

        Args:
            query: Their queries, or all of them.
            column: Their columns in the block.
        """
        self._excluded.append((query, column))
        self.approximate[query, column] = -np.inf

    def some(self, query: np.ndarray) -> np.ndarray:
        """Returns a copy of the approximate scores of some queries, (R, B)."""
        rows: np.ndarray = self.approximate[query]
        return rows

    def lowest(self) -> np.ndarray:
        """Returns each query's lowest approximate score, (Q,)."""
        lowest: np.ndarray = self.approximate.min(axis=1)
        return lowest

    def reaching(self, low: np.ndarray, most: int, *, negated: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
        """Finds the pairs whose approximate scores reach their query's threshold, by the compiled loops.

        Args:
            low: (Q,) float32; infinite for a query that wants none.
            most: Give up where there are more.
            negated: Take the scores with their signs changed.

        Returns:
            Queries, ascending, and columns, (P,) int64 each; None where too many are.
        """
        asking = np.flatnonzero(low < np.inf) if negated else np.arange(len(low))
        scores = -self.approximate[asking] if negated else self.approximate
        high, nobody = np.full(len(asking), np.inf, np.float32), np.full(len(asking), -1)
        found = compiled.open_pairs(scores, np.arange(len(asking)), high, low[asking], nobody, most)
        if found is None:
            return None
        _, offset, column = found
        return np.repeat(asking, np.diff(offset)), column

    def is_dense(self, pairs: int) -> bool:
        """Says whether so many undecided pairs are better looked at through `float64_rows`."""
        return pairs > self.most_pairs

    @property
    def size(self) -> int:
        """How many pairs there are."""
        return len(self.queries) * len(self.rows)

    @property
    def most_pairs(self) -> float:
        """How many undecided pairs are still scored one by one."""
        return max(DENSE_PAIRS, (COMPILED_DENSE_SHARE if self.fast else DENSE_SHARE) * self.size)

    def exact(self, query: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Scores pairs by the rule of `pair_scores`; (P,) float64."""
        if self.fast:
            return compiled.exact_scores(self.queries, self.rows, query, column)
        out = np.empty(len(query))
        at_once = max(16, _NUMBERS_AT_ONCE // self.rows.shape[1])
        for start in range(0, len(query), at_once):
            part = slice(start, start + at_once)
            out[part] = pair_scores(self.queries[query[part]], self.rows[column[part]])
        return out

    def float64_rows(self, query: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Scores whole rows by float64 matrix products.

        Args:
            query: (R,) the queries wanted.

        Yields:
            Runs of at most 128 entries of `query`, as their places (r,) in it, and their scores (r, B) float64, within
            `float64_error` of the exact ones.
        """
        runs = column_slices(self.rows.shape[1])
        gallery = [self.rows[:, run].astype(np.float64) for run in runs]
        for start in range(0, len(query), _DENSE_QUERIES):
            places = np.arange(start, min(start + _DENSE_QUERIES, len(query)))
            rows = self.queries[query[places]]
            parts = [rows[:, run].astype(np.float64) @ columns.T for run, columns in zip(runs, gallery, strict=True)]
            yield places, np.sum(parts, axis=0) if len(parts) > 1 else parts[0]


def at_most(bound: np.ndarray) -> np.ndarray:
    """Rounds float64 bounds down to float32."""
    rounded = bound.astype(np.float32)
    return np.where(rounded.astype(np.float64) > bound, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def at_least(bound: np.ndarray) -> np.ndarray:
    """Rounds float64 bounds up to float32."""
    return -at_most(-bound)
