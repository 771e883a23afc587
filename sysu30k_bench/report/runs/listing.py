"""Runs with their figures: a table for each list, with groups of those that do not differ significantly."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.board.groups import Test, significance, tie_groups
from sysu30k_bench.board.rows import Standing, in_order
from sysu30k_bench.errors import BenchError, UsageError
from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.metrics.resolution import DISCORDANCES, smallest_difference
from sysu30k_bench.report.runs.find import Found, Lost, find_runs, why_unfinished
from sysu30k_bench.report.runs.lines import RunLine, RunList, RunTable, in_sort
from sysu30k_bench.results.compare import mcnemar
from sysu30k_bench.results.ranked_run import RankedRun, aligned, as_run
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, read_record
from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking

REPORT_NAME = "report.html"


@dataclass(frozen=True)
class _Run:
    """A run that can be ordered and tested."""

    id: str
    method: str
    rank1: float
    n: int
    folder: Path
    record: EvaluationRecord
    ranked: RankedRun


def list_runs(folders: Sequence[Path], sort: str = "rank1") -> RunList:
    """Lists every run below some folders.

    Runs of other lists, or of other rules, stand in tables of their own: nothing ranks them with each other. Groups are
    those of the leaderboard: in the order of rank-1, a group ends before the first run that differs significantly from
    the group's first one (exact McNemar test over the same queries, Holm's correction over all pairs of the table).

    Args:
        folders: Where to look; run folders themselves serve, too.
        sort: One of `sorts.SORTS`.
    """
    found, lost = find_runs(folders)
    sets: dict[tuple[object, ...], list[_Run]] = {}
    for one in found:
        run = _read(one)
        if isinstance(run, Lost):
            lost.append(run)
            continue
        like = sets.setdefault(_lists(run.record), [])
        fault = _strange(like, run)
        if fault is None:
            like.append(run)
        else:
            lost.append(fault)
    tables = [_table(runs, sort) for runs in sets.values()]
    tables.sort(key=lambda table: (table.dataset, table.split or 0, -table.gallery, -table.queries))
    lost.sort()
    return RunList(tables=tables, not_listed=[_said(one) for one in lost])


def printable(text: str) -> str:
    """Escapes what UTF-8 cannot hold, as in names of files that are not UTF-8, and control characters."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in plain)


def _said(lost: Lost) -> dict[str, str]:
    told = {"folder": str(lost.folder), "state": lost.state, "reason": lost.reason, "hint": lost.hint}
    return {name: printable(text) for name, text in told.items()}


def _read(found: Found) -> _Run | Lost:
    folder = found.folder
    for name in (RESULT_NAME, RANKING_NAME):
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            return Lost(folder, "damaged", f"{name} is not a file")
    if not (folder / RESULT_NAME).is_file():
        return why_unfinished(folder)
    try:
        record = read_record(folder / RESULT_NAME)
        ranked = as_run(found.name, read_ranking(folder / RANKING_NAME), record)
    except BenchError as error:
        details = f" ({error.details[0]})" if error.details else ""
        return Lost(folder, "damaged", error.message + details, error.hint or "")
    except OSError as error:
        return Lost(folder, "damaged", f"it cannot be read: {error.strerror}")
    rank1 = record.metrics.rank1.value
    if len(ranked.hit) != record.counts.query:
        return Lost(folder, "damaged", f"{RANKING_NAME} has other queries than {RESULT_NAME} counts")
    return _Run(
        id=found.name,
        method=record.model.title,
        rank1=rank1,
        n=record.counts.query,
        folder=folder,
        record=record,
        ranked=ranked,
    )


def _lists(record: EvaluationRecord) -> tuple[object, ...]:
    """What two runs must share to be ranked with each other."""
    data, counts = record.data, record.counts
    lists = (data.dataset, data.split, data.query_fingerprint, data.gallery_fingerprint)
    return (*lists, counts.query, counts.gallery, counts.skipped_query, record.protocol.sha256)


def _strange(like: Sequence[_Run], run: _Run) -> Lost | None:
    """Why a run cannot stand with those that say they are of its lists."""
    if not like:
        return None
    try:
        aligned([like[0].ranked, run.ranked])
    except UsageError as error:
        reason = f"its ranking is not of the lists that its {RESULT_NAME} records: {error.message}"
        return Lost(run.folder, "damaged", reason)
    return None


def _table(runs: Sequence[_Run], sort: str) -> RunTable:
    ranked = {run.id: one for run, one in zip(runs, aligned([run.ranked for run in runs]), strict=True)}
    groups = tie_groups(runs, significance(runs, ranked, _mcnemar))
    record = runs[0].record
    data, counts = record.data, record.counts
    return RunTable(
        dataset=data.dataset,
        split=data.split,
        drawn=data.drawn,
        queries=counts.query,
        gallery=counts.gallery,
        whole_gallery=data.whole_gallery,
        skipped=counts.skipped_query + counts.skipped_gallery,
        query_fingerprint=data.query_fingerprint,
        gallery_fingerprint=data.gallery_fingerprint,
        protocol_sha256=record.protocol.sha256,
        resolution={f"{share:g}": smallest_difference(counts.query, share) for share in DISCORDANCES},
        runs=in_sort([_line(run, groups[run.id]) for run in in_order(runs)], sort),
    )


def _mcnemar(one: Standing, other: Standing, ranked: Mapping[str, RankedRun]) -> Test:
    return Test(mcnemar(ranked[one.id].hit, ranked[other.id].hit), paired=True)


def _line(run: _Run, group: int) -> RunLine:
    record, model = run.record, run.record.model
    values = {
        name: getattr(record.metrics if info.source == "ranks" else record.open_set, name, None)
        for name, info in METRICS.items()
    }
    report = run.folder / REPORT_NAME
    return RunLine(
        name=printable(run.id),
        folder=printable(str(run.folder)),
        method=model.title,
        adapter=model.adapter,
        checkpoint=model.checkpoint,
        group=group,
        official=record.official,
        not_official_because=record.not_official_because,
        metrics={name: value for name, value in values.items() if value is not None},
        dimension=model.dimension,
        images_per_second=record.cost.images_per_second,
        machine=record.environment.processor if record.environment.device == "cpu" else record.environment.device,
        created=record.created,
        report=printable(str(report)) if report.is_file() else None,
    )
