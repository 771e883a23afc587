"""Audits and repetitions of rows, from what a maintainer names to the confirmation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.board.audit.audit import AuditPlan, AuditRequest, audit, plan_audit
from sysu30k_bench.board.audit.confirmation import (
    LEAST_DISTRACTORS,
    LEAST_QUERIES,
    MOST_FLIPS,
    Audit,
    Findings,
    Reproduction,
    check_words,
    row_digest,
    same_person,
)
from sysu30k_bench.board.practice import reasons_against
from sysu30k_bench.board.rows import EVIDENCE, SCORES, Evidence, Row
from sysu30k_bench.board.status import TOOL, row_of, today
from sysu30k_bench.board.submit import prepare_evidence
from sysu30k_bench.errors import CheckFailedError, UsageError
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.ranked_run import RankedRun, aligned, read_run
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, read_record
from sysu30k_bench.search.engines.choose import choose_device
from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking

_SAME = ("query_fingerprint", "gallery_fingerprint", "weights_sha256", "card_sha256", "compute", "protocol_sha256")
_PRECISION = 1e-12


@dataclass(frozen=True)
class ConfirmRequest:
    """What a maintainer names.

    Attributes:
        board: The board.
        row: Id of the row.
        run: The run folder of the submitter, or of the person who repeated it.
        export: The checkpoint, the data, and the card and options that the row names.
        by: Who audits, or who repeated it.
        nonce: Text that nobody could know when the embeddings were made, such as the hash of a later commit.
        queries: Queries to encode again, and as many matches.
        distractors: Gallery images that are nobody's match.
    """

    board: Path
    row: str
    run: Path
    export: ExportRequest
    by: str
    nonce: str
    queries: int = LEAST_QUERIES
    distractors: int = LEAST_DISTRACTORS


def plan_row_audit(request: ConfirmRequest, progress: Progress) -> AuditPlan:
    """Prepares the audit of a row.

    Raises:
        CheckFailedError: Something does not fit the row.
        DataError: Something is missing.
        UsageError: A name or number makes no sense, or the row is only reported.
    """
    check_words(request.by, request.nonce)
    row, evidence = row_of(request.board, request.row)
    if same_person(request.by, row.claimed_by):
        raise UsageError(f"{request.by} claims this row", hint="another person must audit it")
    return _planned(request, row, evidence, request.board / EVIDENCE / f"{row.id}.csv", progress)


def audit_row(request: ConfirmRequest, plan: AuditPlan, progress: Progress) -> Audit:
    """Audits a row.

    Raises:
        CheckFailedError: What was found does not confirm it.
    """
    row, _ = row_of(request.board, request.row)
    return Audit(**_who(request, row), found=audit(plan, progress))


def plan_reproduction(request: ConfirmRequest, progress: Progress) -> AuditPlan:
    """Compares another person's run of the same weights with a row, and prepares the audit of that run.

    Raises:
        CheckFailedError: It is not official, not of the same weights, card or lists, its record does not follow from
            its ranking, or too many queries differ.
        DataError: Row or run do not exist.
        UsageError: The row is only reported, or the same person claims and repeats it.
    """
    check_words(request.by, request.nonce)
    row, evidence = row_of(request.board, request.row)
    if same_person(request.by, row.claimed_by):
        raise UsageError(f"{request.by} claims this row", hint="another person must reproduce it")
    record = read_record(request.run / RESULT_NAME)
    if against := reasons_against(record, practice=bool(row.practice)):
        raise CheckFailedError(f"{request.run} is not official", details=against)
    _follows(request.run, record)
    theirs = prepare_evidence(request.run, record)
    other = [
        f"{part}: {getattr(theirs, part)} in the run, {getattr(evidence, part)} in the row"
        for part in _SAME
        if getattr(theirs, part) != getattr(evidence, part)
    ]
    if other:
        raise CheckFailedError(f"{request.run} does not reproduce {row.id}", details=other)
    if theirs.shards_root == evidence.shards_root:
        raise CheckFailedError(
            f"{request.run} has the same embeddings as {row.id}: this may be a copy, not a reproduction",
            hint="use an audit instead; a reproduction has other shards, or comes from another device",
        )
    _changed(request, row)
    return _planned(request, row, theirs, request.run / RANKING_NAME, progress)


def reproduce_row(request: ConfirmRequest, plan: AuditPlan, progress: Progress) -> Reproduction:
    """Audits another person's run, and returns how far it agrees with the row.

    Raises:
        CheckFailedError: What was found does not confirm it.
    """
    row, _ = row_of(request.board, request.row)
    first, second = _changed(request, row)
    found: Findings = audit(plan, progress)
    return Reproduction(
        **_who(request, row),
        found=found,
        rank1=float(second.per_query["rank1"].mean()),
        n=len(second.hit),
        lost=int((first.hit & ~second.hit).sum()),
        won=int((second.hit & ~first.hit).sum()),
        ranking_sha256=sha256_of_file(request.run / RANKING_NAME),
    )


def _planned(request: ConfirmRequest, row: Row, evidence: Evidence, ranking: Path, progress: Progress) -> AuditPlan:
    wanted = AuditRequest(
        run=request.run,
        ranking=ranking,
        export=request.export,
        seed=f"{row_digest(row)}\n{request.nonce}",
        queries=request.queries,
        distractors=request.distractors,
    )
    return plan_audit(wanted, evidence, progress)


def _who(request: ConfirmRequest, row: Row) -> dict[str, str]:
    return {
        "row": row.id,
        "row_sha256": row_digest(row),
        "by": request.by,
        "date": today(),
        "tool": TOOL,
        "device": choose_device(request.export.device).type,
        "nonce": request.nonce,
    }


def _follows(run: Path, record: EvaluationRecord) -> None:
    ranking = read_ranking(run / RANKING_NAME)
    means = per_query_metrics(ranking.query_keys, ranking.matched).mean()
    other = [name for name in SCORES if abs(getattr(record.metrics, name).value - float(means[name])) > _PRECISION]
    if other:
        raise CheckFailedError(f"{run}: {RESULT_NAME} does not follow from {RANKING_NAME}", details=other)


def _changed(request: ConfirmRequest, row: Row) -> tuple[RankedRun, RankedRun]:
    """Brings the row's ranking and the run's into one order, and refuses too many differences."""
    first, second = aligned([read_run(request.board / EVIDENCE / f"{row.id}.csv"), read_run(request.run)])
    keys = first.per_query.index[first.hit != second.hit]
    if len(keys) > MOST_FLIPS * row.n:
        raise CheckFailedError(
            f"{len(keys)} of {row.n:,} queries differ at rank 1: more than the rounding of two machines causes",
            details=[str(key) for key in keys[:20]],
        )
    return first, second
