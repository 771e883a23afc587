"""A run for comparisons: the contribution of every query, and the images that it was compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from sysu30k_bench.errors import UsageError
from sysu30k_bench.metrics.catalogue import FROM_RANKS
from sysu30k_bench.metrics.open_set.searches import Searches, searches_of
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, read_record
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, Ranking, read_ranking
from sysu30k_bench.search.top_list import read_top
from sysu30k_bench.words import count

PER_QUERY = FROM_RANKS


@dataclass(frozen=True)
class RankedRun:
    """A run.

    Attributes:
        name: Its folder's or file's name.
        per_query: One row a query, by key, as `per_query_metrics` gives it.
        hit: (Q,) bool, whether the first match is at rank 1 with every tie against it.
        ranked: Images ranked for each query, by key.
        record: Its record, where it lies beside the ranking.
        pairs: Keys of every query and match.
        searches: Every query with its matches and without them, in the order of `per_query`.
    """

    name: str
    per_query: pd.DataFrame
    hit: np.ndarray
    ranked: pd.Series[int]
    record: EvaluationRecord | None
    pairs: frozenset[tuple[str, str]] = frozenset()
    searches: Searches | None = None


def read_run(path: Path) -> RankedRun:
    """Reads a run folder, or a ranking file.

    Raises:
        DataError: The ranking does not exist.
        IntegrityError: Ranking or record are damaged.
    """
    file = path / RANKING_NAME if path.is_dir() else path
    beside = file.with_name(RESULT_NAME)
    record = read_record(beside) if beside.is_file() else None
    ranking = read_ranking(file)
    name = path.resolve().name if path.is_dir() else path.name
    return as_run(name, ranking, record, top_for(ranking, file.parent))


def top_for(ranking: Ranking, folder: Path) -> pd.DataFrame | None:
    """Reads a run's top lists if its searches need them, because some queries have no match.

    Raises:
        UsageError: The file is something else.
        IntegrityError: It is not the file that the run folder records.
    """
    return read_top(folder) if ranking.unmatched and (folder / TOP_NAME).is_file() else None


def as_run(
    name: str, ranking: Ranking, record: EvaluationRecord | None = None, top: pd.DataFrame | None = None
) -> RankedRun:
    """Makes a run of a ranking.

    Args:
        name: What to call it.
        ranking: The ranking.
        record: Its record, if it has one.
        top: Its top lists, for queries without a match.
    """
    per_query = per_query_metrics(ranking.query_keys, ranking.matched)
    ranked = ranking.table.drop_duplicates("query").set_index("query")["ranked"]
    pairs = frozenset(zip(ranking.table["query"], ranking.table["match"], strict=True))
    searches = searches_of(ranking, per_query, top)
    return RankedRun(name, per_query, (per_query["pessimistic"] <= 1).to_numpy(), ranked, record, pairs, searches)


def read_runs(paths: Sequence[Path]) -> list[RankedRun]:
    """Reads several runs; those that would have one name are named with the folder above them.

    Raises:
        DataError: There is no ranking.
        IntegrityError: A ranking or record is damaged.
    """
    runs = [read_run(path) for path in paths]
    names = [run.name for run in runs]
    return [
        replace(run, name=f"{path.resolve().parent.name}/{run.name}") if names.count(run.name) > 1 else run
        for run, path in zip(runs, paths, strict=True)
    ]


def aligned(runs: Sequence[RankedRun]) -> list[RankedRun]:
    """Brings runs into one order of queries.

    Raises:
        UsageError: They are of other queries, or of galleries of other sizes or lists: pairs of queries mean nothing.
    """
    out = aligned_queries(runs)
    first = out[0]
    for run in out[1:]:
        other = int((run.ranked.to_numpy() != first.ranked.to_numpy()).sum())
        if other:
            raise UsageError(
                f"{count(other, 'query ranks', 'queries rank')} galleries of other sizes in "
                f"{first.name} and {run.name}",
                hint="compare runs on the same images (those that one run skipped as damaged count); a part of the "
                "distractors needs `gate --fast`",
            )
        strange = _other_matches(first, run)
        if strange:
            raise UsageError(
                f"{first.name} and {run.name} have different matches, so their galleries differ",
                details=[*strange[:20], *_more(len(strange) - 20)],
            )
        lists = [one.record.data.gallery_fingerprint for one in (first, run) if one.record is not None]
        if len(set(lists)) > 1:
            raise UsageError(f"{first.name} and {run.name} searched other galleries of the same size")
    return out


def _other_matches(one: RankedRun, other: RankedRun) -> list[str]:
    """Matches that one run alone has, of queries that have some in both; an image that was skipped is no other one."""
    if one.pairs == other.pairs:
        return []
    both = {query for query, match in one.pairs if match} & {query for query, match in other.pairs if match}
    return sorted(match for query, match in one.pairs ^ other.pairs if query in both)


def aligned_queries(runs: Sequence[RankedRun]) -> list[RankedRun]:
    """Brings runs into one order of queries; their galleries may differ.

    Raises:
        UsageError: They are of other queries.
    """
    first = runs[0]
    out = [first]
    for run in runs[1:]:
        if run.per_query.index.equals(first.per_query.index) and run.ranked.index.equals(first.ranked.index):
            out.append(run)
            continue
        missing = first.per_query.index.symmetric_difference(run.per_query.index)
        if len(missing):
            raise UsageError(
                f"{first.name} and {run.name} have different queries: {len(missing)} are in only one of them",
                details=[*(str(key) for key in missing[:20]), *_more(len(missing) - 20)],
                hint="compare runs on the same lists",
            )
        order = run.per_query.index.get_indexer(first.per_query.index)
        ranked = run.ranked.loc[first.ranked.index]
        searches = None if run.searches is None else run.searches.take(order)
        parts = (run.name, run.per_query.iloc[order], run.hit[order], ranked, run.record, run.pairs, searches)
        out.append(RankedRun(*parts))
    return out


def _more(left: int) -> list[str]:
    return [f"and {left:,} more"] if left > 0 else []
