"""All standard splits of a benchmark, one evaluation each, and their mean."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sysu30k_bench.data.open_dataset import find_benchmark
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest
from sysu30k_bench.files import write_atomically
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import EvaluationRecord

SPLITS_NAME = "splits.json"
_METRICS = ("rank1", "rank5", "rank10", "rank20", "ap_standard", "ap_trapezoid", "minp")


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


def evaluate_splits(
    request: EvalRequest, progress: Progress, ranks: Ranks
) -> tuple[SplitSummary | None, list[EvaluationRecord]]:
    """Evaluates every standard split, and leaves `splits.json` above their run folders.

    Args:
        request: What to do; its output is the folder above, its split is ignored.
        progress: Told of what goes on.
        ranks: This process among those of `torchrun`.

    Returns:
        The summary and the records; None and nothing in every process but the first.

    Raises:
        UsageError: The folder of the data set is not named, or its benchmark has one split.
        BenchError: As `evaluate`.
    """
    if request.export.data is None:
        raise UsageError("--data is missing: name the folder of the data set")
    benchmark, _ = find_benchmark(request.export.data, request.export.dataset, progress)
    if benchmark.splits == 1:
        raise UsageError(f"{benchmark.name} has one split", hint="leave --split away")
    above = request.export.output or Path("runs") / f"{request.export.checkpoint.stem}-{benchmark.name}"
    records, folders = [], []
    for number in range(1, benchmark.splits + 1):
        progress.say(f"split {number} of {benchmark.splits}")
        export = replace(request.export, split=number, output=above / f"split-{number:02d}")
        record, folder = evaluate(replace(request, export=export), progress, ranks)
        if record is not None:
            records.append(record)
            folders.append(str(folder.path))
    if not records:
        return None, []
    summary = SplitSummary(
        dataset=benchmark.name,
        splits=benchmark.splits,
        official=all(record.official for record in records),
        metrics={name: _spread([getattr(record.metrics, name).value for record in records]) for name in _METRICS},
        runs=folders,
    )
    write_atomically(above / SPLITS_NAME, summary.model_dump_json(indent=1).encode())
    return summary, records


def _spread(values: list[float]) -> Spread:
    return Spread(mean=statistics.mean(values), deviation=statistics.stdev(values), values=values)
