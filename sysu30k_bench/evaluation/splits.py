"""All standard splits of a benchmark, one evaluation each, and their mean."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sysu30k_bench.data.benchmarks.benchmark import Benchmark
from sysu30k_bench.data.open_dataset import find_benchmark
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.evaluate import Evaluated, evaluate_in_full
from sysu30k_bench.evaluation.request import EvalRequest
from sysu30k_bench.files import write_atomically
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.results.record import EvaluationRecord
from sysu30k_bench.results.titles import TITLES

SPLITS_NAME = "splits.json"


class Spread(BaseModel):
    """A metric over the splits.

    Attributes:
        mean: Its mean.
        deviation: Its sample standard deviation; the splits share people, so that this is no error of the mean.
        values: Of each split, in order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: float
    deviation: float
    values: list[float]


class SplitSummary(BaseModel):
    """What all splits together say.

    Attributes:
        dataset: The benchmark's name.
        splits: How many there are.
        official: Whether each of their runs is.
        metrics: By name, as in a record.
        runs: The run folder of each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    splits: int
    official: bool
    metrics: dict[str, Spread]
    runs: list[str]


@dataclass(frozen=True)
class EvaluatedSplits:
    """Every standard split, evaluated.

    Attributes:
        summary: Their mean; None in every process but the first.
        folder: The folder above their run folders.
        runs: The evaluation of each, in order.
    """

    summary: SplitSummary | None
    folder: Path
    runs: list[Evaluated]


def evaluate_request(
    request: EvalRequest, progress: Progress | None = None, ranks: Ranks | None = None
) -> Evaluated | EvaluatedSplits:
    """Runs the work of `eval`: one evaluation, or one per standard split.

    Args:
        request: The request.
        progress: Receives progress.
        ranks: This process among those of `torchrun`; found from the environment where None.

    Raises:
        BenchError: As `evaluate` and `evaluate_splits`.
    """
    if request.every_split:
        return evaluate_splits(request, progress or Silent(), ranks or Ranks.from_environment())
    return evaluate_in_full(request, progress, ranks)


def evaluate_splits(request: EvalRequest, progress: Progress, ranks: Ranks) -> EvaluatedSplits:
    """Evaluates every standard split, and leaves `splits.json` above their run folders.

    Args:
        request: What to do; its output is the folder above, its split is ignored.
        progress: Receives progress.
        ranks: This process among those of `torchrun`.

    Raises:
        UsageError: The folder of the data set is not named, or its benchmark has one split.
        BenchError: As `evaluate`.
    """
    if request.export.data is None:
        raise UsageError("--data is missing: name the folder of the data set")
    benchmark, _ = find_benchmark(request.export.data, request.export.dataset, progress)
    require_several(benchmark)
    above = request.export.output or Path("runs") / f"{request.export.checkpoint.stem}-{benchmark.name}"
    runs = []
    for number in range(1, benchmark.splits + 1):
        if ranks.first:
            progress.say(f"split {number} of {benchmark.splits}")
        export = replace(request.export, split=number, output=above / f"split-{number:02d}")
        runs.append(evaluate_in_full(replace(request, export=export), progress, ranks))
    records = [run.record for run in runs if run.record is not None]
    if not records:
        return EvaluatedSplits(None, above, runs)
    summary = summarise_splits(records, [str(run.folder.path) for run in runs])
    write_atomically(above / SPLITS_NAME, summary.model_dump_json(indent=1).encode())
    return EvaluatedSplits(summary, above, runs)


def require_several(benchmark: Benchmark) -> None:
    """Refuses a benchmark with one split if all splits were requested.

    Raises:
        UsageError: It has one.
    """
    if benchmark.splits == 1:
        raise UsageError(f"{benchmark.name} has one split", hint="omit --split")


def summarise_splits(records: Sequence[EvaluationRecord], folders: Sequence[str]) -> SplitSummary:
    """Averages over splits.

    Args:
        records: Of each split, in order; at least two.
        folders: The run folder of each, where there are any.
    """
    return SplitSummary(
        dataset=records[0].data.dataset,
        splits=len(records),
        official=all(record.official for record in records),
        metrics={name: _spread([getattr(record.metrics, name).value for record in records]) for name in TITLES},
        runs=list(folders),
    )


def _spread(values: list[float]) -> Spread:
    return Spread(mean=statistics.mean(values), deviation=statistics.stdev(values), values=values)
