"""The main job from Python: a checkpoint as `eval` takes it, or a network in memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

from typing_extensions import Unpack

from sysu30k_bench.api.arguments import path_of, whole_number
from sysu30k_bench.api.guard import Network
from sysu30k_bench.api.in_memory import evaluate_network
from sysu30k_bench.api.options import EvalOptions, check_in_memory, check_options, request_of
from sysu30k_bench.api.progress import Lines
from sysu30k_bench.api.result import Result
from sysu30k_bench.api.splits import SplitResults
from sysu30k_bench.api.transformed import ImageTransform
from sysu30k_bench.data.open_dataset import find_benchmark
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.evaluation.evaluate import Evaluated
from sysu30k_bench.evaluation.request import EvalRequest
from sysu30k_bench.evaluation.splits import EvaluatedSplits, evaluate_request, require_several, summarise_splits
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.words import with_article

Source = str | os.PathLike[str] | TestSet


@overload
def evaluate(
    checkpoint_or_network: str | os.PathLike[str] | Network,
    /,
    data: Source | None = None,
    *,
    transform: str | ImageTransform | None = None,
    split: int | None = None,
    distributed: bool = False,
    progress: bool | Progress = False,
    name: str | None = None,
    **options: Unpack[EvalOptions],
) -> Result: ...


@overload
def evaluate(
    checkpoint_or_network: str | os.PathLike[str] | Network,
    /,
    data: Source | None = None,
    *,
    transform: str | ImageTransform | None = None,
    split: Literal["all"],
    distributed: bool = False,
    progress: bool | Progress = False,
    name: str | None = None,
    **options: Unpack[EvalOptions],
) -> SplitResults: ...


def evaluate(
    checkpoint_or_network: str | os.PathLike[str] | Network,
    /,
    data: Source | None = None,
    *,
    transform: str | ImageTransform | None = None,
    split: int | Literal["all"] | None = None,
    distributed: bool = False,
    progress: bool | Progress = False,
    name: str | None = None,
    **options: Unpack[EvalOptions],
) -> Result | SplitResults:
    """Evaluates a checkpoint or a network in memory.

    A **checkpoint** (or a features file) is evaluated as by `sysu30k-bench eval`: the same run folder with the same
    bytes; an existing run folder is resumed. The result can be official.

    A **network in memory**, a module or any function from images (N, 3, H, W) to embeddings (N, D), is embedded on its
    own device, in evaluation mode and without gradients, and nothing is written. Afterwards every module's mode and
    the states of the random number generators of torch, numpy and Python are restored. The result is never official.

    Args:
        checkpoint_or_network: Path of a checkpoint or features file, or a network.
        data: The data set's folder or archive; or the result of `open_data`, which reads the lists once for many calls.
        transform: For a network in memory, the preparation of the images: the name of a card, whose input and mirrored
            view are used; or a function from a PIL image to a float tensor (3, H, W). If omitted, `height`, `width`,
            `mean`, `std`, `interpolation`, `scale` and `channels` define it.
        split: Number of a standard split; `all` evaluates each and averages. The first if omitted.
        distributed: Divide the images among the processes of `torch.distributed` or `torchrun`; all of them must call
            this, and all get the result. If False, this process works alone and waits for no other.
        progress: Whether to report progress on stderr; or your own object (`sysu30k_bench.progress.Progress`).
        name: Name of the result in comparisons.
        options: As `sysu30k-bench eval --help` names and explains them, such as `limit=100`, `distractors=20_000`,
            `batch_size=128`, `device="cuda:1"`, `output="runs/mine"`; see `EvalOptions`.

    Returns:
        The result; for `split="all"` those of all splits and their mean.

    Raises:
        UsageError: An argument is invalid, or no card fits the checkpoint.
        DataError: Files, a device or an optional package are missing.
        IntegrityError: Files are damaged, images cannot be decoded, or embeddings are zero, NaN or infinite.
    """
    if name is not None and not isinstance(name, str):
        raise UsageError(f"name is a {type(name).__name__}, not a text")
    if split is not None and split != "all":
        whole_number("split", split)
    tell: Progress = Lines(sys.stderr) if progress is True else progress or Silent()
    ranks = Ranks.of_program() if distributed else Ranks()
    checked = check_options({**options})
    subject = checkpoint_or_network
    if isinstance(subject, str | os.PathLike):
        _refuse_transform(transform)
        request = request_of(Path(subject), _folder(data), split, checked)
        if isinstance(data, TestSet):
            request = _with_lists(request, data)
        return _of_files(evaluate_request(request, tell, ranks), ranks, name)
    if not callable(subject):
        raise UsageError(
            f"{with_article(type(subject).__name__)} is neither a network nor a path of a checkpoint",
            hint="load a state dict into its network and give the network, or give the path of its file"
            if isinstance(subject, Mapping)
            else None,
        )
    check_in_memory(checked)
    if data is None:
        raise UsageError("data is missing: name the folder of the data set")
    where = data if isinstance(data, TestSet) else path_of("data", data)
    return _of_network(subject, where, transform, split, checked, ranks, tell, name)


def _of_files(done: Evaluated | EvaluatedSplits, ranks: Ranks, name: str | None) -> Result | SplitResults:
    """Gives every process what the first one found."""
    runs = done.runs if isinstance(done, EvaluatedSplits) else [done]
    shared = ranks.gather(([(run.record, run.searched) for run in runs],))[0][0]
    results = []
    for run, (record, searched) in zip(runs, shared, strict=True):
        if record is None or searched is None:
            raise DataError("the first process found no result")
        results.append(
            Result(
                searched.ranking,
                name=name or run.folder.path.resolve().name,
                record=record,
                top=searched.top,
                folder=run.folder.path,
            )
        )
    if not isinstance(done, EvaluatedSplits):
        return results[0]
    records = [result.record for result in results if result.record is not None]
    summary = done.summary or summarise_splits(records, [str(run.folder.path) for run in runs])
    return SplitResults(summary, results, done.folder)


def _of_network(
    network: Network,
    data: Path | TestSet,
    transform: str | ImageTransform | None,
    split: int | Literal["all"] | None,
    options: dict[str, Any],
    ranks: Ranks,
    progress: Progress,
    name: str | None,
) -> Result | SplitResults:
    def one(number: int | None) -> Result:
        request = request_of(Path("memory"), None, number, options)
        return evaluate_network(
            network, data, transform, request.export, request.search, ranks, progress, name or "network"
        )

    if split != "all":
        return one(split)
    if isinstance(data, TestSet):
        raise UsageError("split='all' needs the data set's folder", hint="open_data opens one split")
    benchmark, _ = find_benchmark(data, options.get("dataset"), progress)
    require_several(benchmark)
    results = [one(number) for number in range(1, benchmark.splits + 1)]
    return SplitResults(summarise_splits([result.record for result in results if result.record], []), results)


def _refuse_transform(transform: object) -> None:
    if transform is not None:
        raise UsageError(
            "transform is for a network in memory",
            hint="a checkpoint's input comes from its card: adapter=, or height=, width=, mean=, std=",
        )


def _folder(data: Source | None) -> Path | None:
    return None if data is None or isinstance(data, TestSet) else path_of("data", data)


def _with_lists(request: EvalRequest, lists: TestSet) -> EvalRequest:
    if request.every_split:
        raise UsageError("split='all' needs the data set's folder", hint="open_data opens one split")
    own = replace(lists, warnings=list(lists.warnings), not_official=list(lists.not_official))
    return replace(request, export=replace(request.export, lists=own))
