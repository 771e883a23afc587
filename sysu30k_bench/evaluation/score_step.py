"""The third step: ranks to numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from sysu30k_bench.errors import BenchError, IntegrityError
from sysu30k_bench.evaluation.ranking.search_step import Searched
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES, ExportNotes, SearchNotes, read_notes
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.metrics.open_set.searches import searches_of
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.results.build import counts_of, metrics_of, open_set_of, protocol, ties_of
from sysu30k_bench.results.record import Control, Cost, Environment, EvaluationRecord
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, Ranking, read_ranking
from sysu30k_bench.search.top_list import read_top
from sysu30k_bench.words import count, queries_without_match


def score_step(folder: RunFolder, control: Control | None = None) -> EvaluationRecord:
    """Computes every number from `ranking.csv` and leaves `result.json`.

    Args:
        folder: The run folder, exported and searched.
        control: The numbers of the random control, where it was run.

    Raises:
        DataError: A step before this one is missing.
        IntegrityError: The ranking is damaged, or not the one that the search wrote.
    """
    exported = read_notes(folder.path / EXPORT_NOTES, ExportNotes, "export")
    searched = read_notes(folder.path / SEARCH_NOTES, SearchNotes, "search")
    path = folder.path / RANKING_NAME
    ranking = read_ranking(path, told=False)  # the record beside it may be of an earlier search
    if sha256_of_file(path) != searched.ranking_sha256:
        raise IntegrityError(f"{path} is not the ranking that the search wrote", hint="run the search again")
    top = None
    if ranking.unmatched and (folder.path / TOP_NAME).is_file():
        if searched.top_sha256 not in {None, sha256_of_file(folder.path / TOP_NAME)}:
            raise IntegrityError(
                f"{folder.path / TOP_NAME} is not the list that the search wrote", hint="run the search again"
            )
        top = read_top(folder.path, told=False)
    return score_searched(folder, exported, Searched(searched, ranking, top), control)


def score_searched(
    folder: RunFolder, exported: ExportNotes, searched: Searched, control: Control | None = None
) -> EvaluationRecord:
    """Computes every number of what the steps before have just returned, and leaves `result.json`.

    Args:
        folder: The run folder.
        exported: What the export returned.
        searched: What the search returned.
        control: The numbers of the random control, where it was run.

    Raises:
        IntegrityError: The search ranked other embeddings than the export made.
    """
    if exported.stores != searched.notes.stores:
        raise IntegrityError(
            f"{folder.path / RANKING_NAME} ranks other embeddings than those that {EXPORT_NOTES} records",
            hint="run the search again",
        )
    doubts: list[str] = []
    if control is None:
        control, doubts = _control(folder, exported)
    record = make_record(exported, searched.notes, searched.ranking, control, doubts, searched.top).sealed()
    record.write(folder.path)
    return record


def _control(folder: RunFolder, exported: ExportNotes) -> tuple[Control | None, list[str]]:
    """Recomputes the random control in a run's folder, if it has the same card and lists.

    Returns:
        The control, or None where the run stands without one; and what its reader has to know.
    """
    try:
        control = read_notes(folder.control.path / EXPORT_NOTES, ExportNotes, "eval --control random")
        if (control.model.card_sha256, control.data) != (exported.model.card_sha256, exported.data):
            return None, []
        measured = score_step(folder.control).metrics
    except IntegrityError as error:
        return None, [f"the random control beside the run is left out: {error.message}"]
    except BenchError:  # there is none, or it was not finished
        return None, []
    return Control(rank1=measured.rank1, ap_standard=measured.ap_standard), []


def make_record(
    exported: ExportNotes,
    searched: SearchNotes,
    ranking: Ranking,
    control: Control | None = None,
    doubts: Sequence[str] = (),
    top: pd.DataFrame | None = None,
) -> EvaluationRecord:
    """Makes the record of an evaluation from what its steps know.

    Args:
        exported: What the export knows.
        searched: What the search knows.
        ranking: The exact ranks.
        control: The numbers of the random control, where it was run.
        doubts: Further warnings.
        top: Top lists; without them queries that have no match are no searches in the open-set rates.
    """
    summary = summarise(ranking)
    ties = ties_of(summary)
    counts = counts_of(ranking, searched.gallery, exported.skipped_query, exported.skipped_gallery)
    reasons = list(exported.not_official_because)
    if counts.unmatched and not any("no match" in reason for reason in reasons):
        reasons.append(queries_without_match(counts.unmatched))
    unusual = _unusual(ranking, ties.rank1_optimistic, ties.rank1_pessimistic)
    warnings = list(dict.fromkeys([*exported.warnings, *searched.warnings, *unusual, *doubts]))
    speed = exported.images_embedded / exported.seconds if exported.images_embedded and exported.seconds > 0 else None
    return EvaluationRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        official=not reasons,
        not_official_because=reasons,
        warnings=warnings,
        metrics=metrics_of(summary),
        open_set=open_set_of(searches_of(ranking, summary.per_query, top)),
        ties=ties,
        counts=counts,
        model=exported.model,
        protocol=protocol(searched.top_k),
        data=exported.data,
        environment=Environment(
            **exported.machine.model_dump(),
            processes=exported.processes,
            engine=searched.engine,
            engine_reason=searched.engine_reason,
            search=searched.machine,
        ),
        cost=Cost(
            images_embedded=exported.images_embedded,
            embed_seconds=exported.seconds,
            images_per_second=speed,
            search_seconds=searched.seconds,
            peak_memory_bytes=max(exported.peak_memory_bytes, searched.peak_memory_bytes),
        ),
        health=searched.health,
        control=control,
        ranking_sha256=searched.ranking_sha256,
        top_sha256=searched.top_sha256,
        files={"ranking": RANKING_NAME, "top": TOP_NAME} | ({"embeddings": "embeddings"} if searched.stores else {}),
    )


def _unusual(ranking: Ranking, optimistic: float, pessimistic: float) -> list[str]:
    found = []
    tied = ranking.matched[ranking.matched["rank_high"] > ranking.matched["rank_low"]]
    if len(tied):
        found.append(
            f"{count(len(tied), 'match ties', 'matches tie')} with other gallery images; "
            f"rank-1 lies between {pessimistic:.2%} and {optimistic:.2%}"
        )
    return found
