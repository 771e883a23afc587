"""Which rows differ significantly: the groups in which a board's order is chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from sysu30k_bench.board.rows import EVIDENCE, Row, Standing, in_order
from sysu30k_bench.errors import UsageError
from sysu30k_bench.metrics.holm import holm
from sysu30k_bench.results.compare import mcnemar
from sysu30k_bench.results.ranked_run import RankedRun, aligned, read_run

LEVEL = 0.05


def read_evidence(board: Path, rows: list[Row]) -> dict[str, RankedRun]:
    """Reads the rankings behind rows, by id; those of reported rows do not exist."""
    return {row.id: read_run(board / EVIDENCE / f"{row.id}.csv") for row in rows if row.evidence is not None}


def tie_groups(rows: Sequence[Standing], tests: Mapping[tuple[str, str], Apart]) -> dict[str, int]:
    """Puts rows into groups, best first, whose first row does not differ significantly from any other of the group.

    The rule is that of the table of pairs: two rows differ significantly where p is below 0.05 after Holm's
    correction over all pairs. A group says where order may be chance, not where it is none.

    Args:
        rows: The rows, or runs.
        tests: What `significance` found of them.

    Returns:
        The number of each row's group, from 1, by id.
    """
    groups: dict[str, int] = {}
    first: Standing | None = None
    for row in in_order(rows):
        if first is None or tests[first.id, row.id].told:
            first = row
            number = max(groups.values(), default=0) + 1
        groups[row.id] = number
    return groups


class Test(NamedTuple):
    """Whether two rows differ in rank-1.

    Attributes:
        p: Two-sided.
        paired: Whether by exact McNemar over the same queries; else as independent proportions.
    """

    p: float
    paired: bool


def p_value(one: Standing, other: Standing, evidence: Mapping[str, RankedRun]) -> Test:
    """Tests whether two rows differ in rank-1, two-sided.

    Args:
        one: A row.
        other: Another.
        evidence: Rankings by id.
    """
    if one.id in evidence and other.id in evidence:
        with suppress(UsageError):  # galleries of two sizes: they are compared as strangers
            first, second = aligned([evidence[one.id], evidence[other.id]])
            return Test(mcnemar(first.hit, second.hit), paired=True)
    from statsmodels.stats.proportion import test_proportions_2indep

    result = test_proportions_2indep(one.rank1 * one.n, one.n, other.rank1 * other.n, other.n, compare="diff")
    return Test(float(result.pvalue), paired=False)


class Apart(NamedTuple):
    """A test of one pair among all pairs.

    Attributes:
        p: Two-sided, of this pair alone.
        holm: The same, corrected for all pairs (Holm, 1979).
        paired: See `Test`.
    """

    p: float
    holm: float
    paired: bool

    @property
    def told(self) -> bool:
        """Whether the two rows differ significantly."""
        return self.holm < LEVEL


def significance(
    rows: Sequence[Standing],
    evidence: Mapping[str, RankedRun],
    test: Callable[[Standing, Standing, Mapping[str, RankedRun]], Test] = p_value,
) -> dict[tuple[str, str], Apart]:
    """Tests every pair of rows.

    Args:
        rows: The rows, or runs.
        evidence: Rankings by id.
        test: Of one pair.

    Returns:
        By both ids, in either order.
    """
    pairs = list(combinations(rows, 2))
    tests = [test(one, other, evidence) for one, other in pairs]
    corrected = holm([found.p for found in tests])
    apart = {}
    for (one, other), found, level in zip(pairs, tests, corrected, strict=True):
        apart[one.id, other.id] = apart[other.id, one.id] = Apart(found.p, level, found.paired)
    return apart
