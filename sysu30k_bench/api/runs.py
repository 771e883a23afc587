"""Runs on the disk, and runs against each other."""

from __future__ import annotations

import os
from dataclasses import replace

from sysu30k_bench.api.arguments import fraction, path_of
from sysu30k_bench.api.result import Result
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.gate.gate import Verdict
from sysu30k_bench.gate.gate import gate as gate_runs
from sysu30k_bench.results.compare import Comparison
from sysu30k_bench.results.compare import compare as compare_runs
from sysu30k_bench.results.ranked_run import RankedRun
from sysu30k_bench.results.record import RESULT_NAME, read_record
from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking

Run = Result | str | os.PathLike[str]
"""A result, or the path of a run folder or of a `ranking.csv`."""


def load_run(path: str | os.PathLike[str]) -> Result:
    """Reads a run folder, or a ranking file; its files are checked against each other.

    Args:
        path: Either.

    Raises:
        DataError: There is no ranking.
        IntegrityError: Ranking or record are damaged, or not of one run.
    """
    where = path_of("the run", path)
    if not where.exists():
        raise DataError(
            f"there is no run {where}", hint="make it with evaluate(), Result.save() or `sysu30k-bench eval`"
        )
    file = where / RANKING_NAME if where.is_dir() else where
    beside = file.with_name(RESULT_NAME)
    record = read_record(beside) if beside.is_file() else None
    name = where.resolve().name if where.is_dir() else where.name
    return Result(read_ranking(file), name=name, record=record, folder=where if where.is_dir() else None)


def compare(*runs: Run) -> Comparison:
    """Compares runs of the same lists, paired by query.

    Args:
        runs: Two or more.

    Returns:
        `.runs` and `.pairs`: for each pair the differences with 95 % intervals, the exact McNemar test on rank-1 (`p`,
        and `p_holm` corrected for all pairs), and which queries flipped.

    Raises:
        UsageError: Fewer than two, or they are of other queries or galleries.
        DataError: A run does not exist.
        IntegrityError: A run is damaged.
    """
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs")
    return compare_runs(_named(runs))


def gate(new: Run, old: Run, *, max_drop: float = 0.01, alpha: float = 0.05, metric: str = "rank1") -> Verdict:
    """Tests whether a run is no worse than another by more than may be lost, paired by query.

    Args:
        new: The candidate.
        old: What it is held against.
        max_drop: The largest drop allowed, as a fraction: 0.01 is a point.
        alpha: Chance of passing a run that is worse by just that much.
        metric: `rank1`, `rank5`, `rank10`, `rank20`, `ap_standard`, `ap_trapezoid` or `minp`.

    Returns:
        The verdict: `.passed`, `.outcome` (`passed`, `worse`, `not shown`), `.reason` in words, and the numbers.

    Raises:
        UsageError: The runs are of other lists, or a number makes no sense.
        DataError: A run does not exist.
        IntegrityError: A run is damaged.
    """
    candidate, held = _named((new, old))
    allowed, level = fraction("max_drop", max_drop), fraction("alpha", alpha)
    return gate_runs(candidate, held, max_drop=allowed, alpha=level, metric=metric)


def _named(runs: tuple[Run, ...]) -> list[RankedRun]:
    """Reads runs; those that would have one name get the folder above them, or their number, too."""
    loaded = [run if isinstance(run, Result) else load_run(run) for run in runs]
    names = [run.name for run in loaded]
    out = []
    for number, run in enumerate(loaded):
        name = run.name
        if names.count(name) > 1:
            folder = run.folder.resolve() if run.folder is not None else None
            above = folder.parent.name if folder is not None and folder.name == name else ""
            name = f"{above}/{name}" if above else f"{name} ({number + 1})"
        out.append(replace(run.as_ranked_run(), name=name))
    known = [run.name for run in out]
    return [
        replace(run, name=f"{run.name} ({number + 1})") if known.count(run.name) > 1 else run
        for number, run in enumerate(out)
    ]
