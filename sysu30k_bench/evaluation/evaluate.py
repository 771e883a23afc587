"""The main job: from a checkpoint and a folder of images to a record."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

from sysu30k_bench.embeddings.features.reader import is_features_file
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding.export_step import PreparedExport, export_step, prepare_export
from sysu30k_bench.evaluation.embedding.import_step import PreparedImport, import_step, prepare_import
from sysu30k_bench.evaluation.ranking.search_step import Searched, search_step
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.score_step import score_searched
from sysu30k_bench.evaluation.step_notes import Exported
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.results.record import Control, EvaluationRecord


def evaluate(
    request: EvalRequest, progress: Progress | None = None, ranks: Ranks | None = None
) -> tuple[EvaluationRecord | None, RunFolder]:
    """Evaluates a checkpoint: export, search, score.

    Running it again with the same request resumes, and ends with the same embeddings and ranking. Under `torchrun`
    every process has to call it; one that evaluates alone passes `Ranks()`.

    Args:
        request: The request.
        progress: Told what the model was taken for, and of the work done.
        ranks: This process among those of `torchrun`; found from the environment where None.

    Returns:
        The record (None in every process but the first), and the run folder.

    Raises:
        BenchError: Anything that the user has to see to; what is finished is kept.
    """
    done = evaluate_in_full(request, progress, ranks)
    return done.record, done.folder


@dataclass(frozen=True)
class Evaluated:
    """An evaluation with the objects that its files were written from.

    Attributes:
        record: As `result.json` has it; None in every process but the first.
        folder: The run folder.
        searched: What the search found; None likewise.
    """

    record: EvaluationRecord | None
    folder: RunFolder
    searched: Searched | None = None


def evaluate_in_full(request: EvalRequest, progress: Progress | None = None, ranks: Ranks | None = None) -> Evaluated:
    """Does what `evaluate` does, and returns the ranking, too; see there."""
    progress = progress or Silent()
    ranks = ranks or Ranks.from_environment()
    prepared = prepare(request.export, ranks, progress)
    if ranks.first:
        progress.say(prepared.summary)
    return run_prepared(request, prepared, progress)


def prepare(request: ExportRequest, ranks: Ranks, progress: Progress | None = None) -> PreparedExport | PreparedImport:
    """Checks all that can be checked before work starts, for a checkpoint or a features file."""
    if is_features_file(request.checkpoint):
        return prepare_import(request, ranks, progress)
    return prepare_export(request, ranks, progress)


def run_prepared(
    request: EvalRequest,
    prepared: PreparedExport | PreparedImport,
    progress: Progress,
    exported: Exported | None = None,
) -> Evaluated:
    """Exports what `prepare` has checked, where that is not done, and searches and scores it.

    Args:
        request: The request.
        prepared: What `prepare` made of it.
        progress: Receives progress.
        exported: What the export left; it is run here where None.
    """
    folder, ranks = prepared.folder, prepared.ranks
    exported = exported or first_step(prepared, progress)
    beside = _control(request, prepared, progress) if request.control else None
    random = export_step(beside, progress) if beside is not None else None
    control = None
    with folder.locked() if ranks.first else nullcontext():
        if beside is not None and random is not None:
            found = search_step(beside.folder, request.search, progress, ranks)
            if ranks.first:
                measured = score_searched(beside.folder, random.notes, found).metrics
                control = Control(rank1=measured.rank1, ap_standard=measured.ap_standard)
        searched = search_step(folder, request.search, progress, ranks)
        if not ranks.first:
            return Evaluated(None, folder)
        return Evaluated(score_searched(folder, exported.notes, searched, control), folder, searched)


def first_step(prepared: PreparedExport | PreparedImport, progress: Progress) -> Exported:
    """Makes the stores: by embedding images, or from a features file."""
    if isinstance(prepared, PreparedImport):
        return import_step(prepared, progress)
    return export_step(prepared, progress)


def _control(
    request: EvalRequest, prepared: PreparedExport | PreparedImport, progress: Progress
) -> PreparedExport | None:
    if isinstance(prepared, PreparedImport):
        raise UsageError("a features file has no network", hint="omit --control")
    if not any(True for _ in prepared.model.embedder.parameters()):
        progress.say("no control: this network has no parameters that could be random")
        return None
    export = replace(
        request.export, random_weights=True, output=prepared.folder.control.path, backend=prepared.backend.name
    )
    return prepare_export(export, prepared.ranks)
