"""Several checkpoints evaluated in one pass over the images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import TypeVar

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES, Role, TestSet
from sysu30k_bench.embeddings.export import ExportReport, SplitExport
from sysu30k_bench.embeddings.features.reader import is_features_file
from sysu30k_bench.embeddings.together import export_together
from sysu30k_bench.errors import BenchError, UsageError
from sysu30k_bench.evaluation.embedding.export_step import PreparedExport, finished_export
from sysu30k_bench.evaluation.embedding.import_step import PreparedImport
from sysu30k_bench.evaluation.evaluate import Evaluated, prepare, run_prepared
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.evaluation.step_notes import Exported
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress

Done = TypeVar("Done")


@dataclass(frozen=True)
class Outcome:
    """What became of one checkpoint.

    Attributes:
        checkpoint: The file.
        done: Its evaluation; None where it failed.
        error: Why it failed.
    """

    checkpoint: Path
    done: Evaluated | None = None
    error: BenchError | None = None


def evaluate_together(request: EvalRequest, checkpoints: Sequence[Path], progress: Progress) -> list[Outcome]:
    """Evaluates several checkpoints, each as `evaluate` does it alone, and decodes every image once for all.

    Each has its own run folder, resumes by itself and ends with the same bytes as alone. One that fails does not stop
    the others. Features files have no images to decode and are evaluated beside them.

    Args:
        request: What to do with each; its checkpoint is ignored, and its output is the folder above the run folders.
        checkpoints: The files.
        progress: Receives progress.

    Returns:
        What became of each, in order.

    Raises:
        UsageError: The request cannot be shared, or two checkpoints would have one run folder.
        BenchError: The data set cannot be opened.
    """
    _require_one_process(request)
    lists = _lists(request.export, checkpoints, progress)
    errors: dict[int, BenchError] = {}
    ready: dict[int, PreparedExport | PreparedImport] = {}
    for number, checkpoint in enumerate(checkpoints):
        made = _tried(errors, number, partial(_prepared, request.export, checkpoint, lists, progress))
        if made is not None:
            ready[number] = made
        elif number in errors and len(checkpoints) > 1:
            progress.say(f"{checkpoint} is left out, the others are evaluated: {errors[number].message}")
    _require_own_folders([ready[number] for number in ready])
    exported = _exported(ready, errors, progress)
    outcomes = []
    for number, checkpoint in enumerate(checkpoints):
        done = None
        if number not in errors:
            progress.say(f"{checkpoint}: search and figures")
            export = replace(request.export, checkpoint=checkpoint, lists=lists)
            mine = replace(request, export=export)
            last = partial(run_prepared, mine, ready[number], progress, exported.get(number))
            done = _tried(errors, number, last)
        outcomes.append(Outcome(checkpoint, done, errors.get(number)))
    return outcomes


def _tried(errors: dict[int, BenchError], number: int, work: Callable[[], Done]) -> Done | None:
    try:
        return work()
    except BenchError as error:
        errors[number] = error
        return None


def _require_one_process(request: EvalRequest) -> None:
    if os.environ.get("WORLD_SIZE", "1") not in {"", "1"}:
        raise UsageError(
            "several checkpoints in one pass are evaluated by one process", hint="under torchrun, name one checkpoint"
        )
    if request.every_split:
        raise UsageError("--split all evaluates one checkpoint", hint="name one checkpoint, or one split: --split 1")


def _lists(export: ExportRequest, checkpoints: Sequence[Path], progress: Progress) -> TestSet | None:
    """The test set, opened once; features files may bring their own."""
    if export.lists is not None or (export.data is None and all(map(is_features_file, checkpoints))):
        return export.lists
    if export.data is None:
        raise UsageError("--data is missing: name the folder of the data set")
    progress.say(f"loading the lists of {export.data}")
    return open_test_set(export.data, export.dataset, export.split, progress)


def _prepared(
    export: ExportRequest, checkpoint: Path, lists: TestSet | None, progress: Progress
) -> PreparedExport | PreparedImport:
    above = export.above if export.output is None else export.output
    if is_features_file(checkpoint):
        mine = replace(export, checkpoint=checkpoint, output=None, above=above)
    else:
        mine = replace(export, checkpoint=checkpoint, output=None, above=above, lists=lists)
    made = prepare(mine, Ranks(), progress)
    progress.say(f"{checkpoint}\n{indent(made.summary, '  ')}")
    return made


def _require_own_folders(ready: Sequence[PreparedExport | PreparedImport]) -> None:
    seen: dict[Path, Path] = {}
    for one in ready:
        folder = one.folder.path.resolve()
        if folder in seen:
            raise UsageError(
                f"{seen[folder]} and {one.request.checkpoint} are the same weights under the same name: both would be "
                f"written to {one.folder.path}",
                hint="name each checkpoint once",
            )
        seen[folder] = one.request.checkpoint


def _exported(
    ready: dict[int, PreparedExport | PreparedImport], errors: dict[int, BenchError], progress: Progress
) -> dict[int, Exported]:
    """Makes the stores of all networks, role by role."""
    members = {number: one for number, one in ready.items() if isinstance(one, PreparedExport)}
    reports: dict[int, dict[Role, ExportReport]] = {number: {} for number in members}
    with ExitStack() as locks:
        for number, one in members.items():
            _tried(errors, number, partial(locks.enter_context, one.folder.locked()))
        for role in ROLES:
            alive = [number for number in members if number not in errors]
            if not alive:
                break
            first = members[alive[0]]
            results = export_together(
                first.test_set.split(role),
                first.test_set.images,
                [partial(_split_export, members[number], role) for number in alive],
                [members[number].model.card.input for number in alive],
                progress,
                workers=first.request.workers,
                gpu=first.device.type == "cuda",
            )
            for number, result in zip(alive, results, strict=True):
                if isinstance(result, BenchError):
                    errors[number] = result
                else:
                    reports[number][role] = result
        found = {}
        for number, one in members.items():
            if number not in errors:
                made = _tried(errors, number, partial(finished_export, one, reports[number]))
                if made is not None:
                    found[number] = made
    return found


def _split_export(one: PreparedExport, role: Role, progress: Progress) -> SplitExport:
    return SplitExport(one.job(role, progress))
