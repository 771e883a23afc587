"""From a run to a row with its evidence: ranks and digests, no image and no embedding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from sysu30k_bench.board.audit.merkle import merkle_root
from sysu30k_bench.board.checks.foreign_text import word_fault
from sysu30k_bench.board.open_set_scores import open_set_scores
from sysu30k_bench.board.practice import PracticeMark, reasons_against, require_board_for
from sysu30k_bench.board.rows import EVIDENCE, ROWS, SCORES, Cost, Evidence, Row, row_bytes
from sysu30k_bench.board.run_intact import require_what_was_searched
from sysu30k_bench.data.split import ROLES
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.errors import CheckFailedError, DataError, IntegrityError, UsageError
from sysu30k_bench.files import sha256_of_file, write_atomically
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.models.card import Paper, Supervision
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.results.build import metrics_of
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, read_record
from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking


@dataclass(frozen=True)
class Claim:
    """What a submitter says; everything else is computed.

    Attributes:
        id: File name of the row.
        method: Name of the method.
        supervision: What it was trained with.
        source: Where code or weights are.
        claimed_by: Who submits.
        weights: What the weights are.
        notes: Other remarks for readers.
        paper_title: Of the method's publication.
        paper_url: Where it is.
        paper_year: When it was published.
        trained_on: Data sets and labels that the weights were trained with.
        corrects: Id of the row that this one replaces.
    """

    id: str
    method: str
    supervision: Supervision
    source: str
    claimed_by: str
    weights: str
    notes: str = ""
    paper_title: str = ""
    paper_url: str = ""
    paper_year: int | None = None
    trained_on: str | None = None
    corrects: str | None = None


@dataclass(frozen=True)
class Submission:
    """A row and what stands behind it.

    Attributes:
        row: The row.
        ranking: The bytes of its evidence.
        practice: Of the practice board that takes it; None for the real board.
    """

    row: Row
    ranking: bytes
    practice: PracticeMark | None = None

    def write(self, board: Path) -> list[Path]:
        """Writes both below a board's folder; where both are there already, byte by byte, nothing is left to do.

        Raises:
            UsageError: There is another row of this id.
        """
        row = board / ROWS / f"{self.row.id}.json"
        evidence = board / EVIDENCE / f"{self.row.id}.csv"
        if row.exists():
            own = ((row, row_bytes(self.row)), (evidence, self.ranking))
            if all(path.is_file() and path.read_bytes() == content for path, content in own):
                return [row, evidence]  # the same command, after an interruption that came too late
            raise UsageError(f"there is a row {row}", hint="rows are never replaced: choose another --id")
        require_board_for(board, self.practice)
        write_atomically(evidence, self.ranking)
        write_atomically(row, row_bytes(self.row))
        return [row, evidence]


def prepare(run: Path, claim: Claim, progress: Progress | None = None, *, practice: bool = False) -> Submission:
    """Makes the row of a run.

    Args:
        run: A run folder, with all of its embeddings: they are read, and held against what was searched.
        claim: What cannot be computed.
        progress: Told of shards read.
        practice: Whether the row is for a practice board, and the run of drawn people.

    Raises:
        CheckFailedError: The run is not official; every reason is listed.
        DataError: Parts of the run are missing; missing shards are named.
        IntegrityError: Its parts do not fit each other, or were changed since the search.
        UsageError: The claim is no row: too long, markup, a bad name.
    """
    record = read_record(run / RESULT_NAME)
    if against := reasons_against(record, practice=practice):
        drawn = record.data.drawn and not practice
        raise CheckFailedError(
            f"{run} is not official: no row can be made of it",
            details=against,
            hint="a practice board takes whole runs on drawn people, by fully loaded networks"
            if practice
            else "the board takes runs on the published lists, by fully loaded networks"
            + ("; with --practice, this run can rehearse a submission" if drawn else ""),
        )
    path = run / RANKING_NAME
    ranking = read_ranking(path)
    metrics = metrics_of(summarise(ranking))
    if metrics != record.metrics:
        raise IntegrityError(
            f"{path} does not give the numbers of {RESULT_NAME}", hint="run `sysu30k-bench score` again"
        )
    require_what_was_searched(run, record, progress or Silent())
    try:
        row = Row(
            id=claim.id,
            method=claim.method,
            supervision=claim.supervision,
            n=metrics.rank1.n,
            date=record.created[:10],
            status="self-reported",
            source=claim.source,
            claimed_by=claim.claimed_by,
            weights=claim.weights,
            notes=claim.notes,
            paper=_paper(claim),
            trained_on=claim.trained_on,
            corrects=claim.corrects,
            cost=cost_of(record),
            evidence=prepare_evidence(run, record),
            practice=True if practice else None,
            **{name: getattr(metrics, name).value for name in SCORES},
            **open_set_scores(ranking),
        )
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise UsageError("this cannot be a row", details=faults) from error
    return Submission(row, path.read_bytes(), PracticeMark.of(record) if practice else None)


def cost_of(record: EvaluationRecord) -> Cost:
    """Takes what a run cost; times of machines whose names a row cannot hold are omitted."""
    cost, where = record.cost, record.environment
    embedded_on, searched_on = (_machine(one.processor, one.device) for one in (where, where.search))
    return Cost(
        parameters=record.model.parameters,
        images_per_second=float(f"{cost.images_per_second:.3g}") if cost.images_per_second and embedded_on else None,
        embedded_on=embedded_on if cost.images_per_second else None,
        search_seconds=round(cost.search_seconds, 1) if searched_on else None,
        searched_on=searched_on,
    )


def _machine(processor: str, device: str) -> str | None:
    name = processor if device in {"", "cpu"} else f"{device}, {processor}"
    plain = "".join(letter for letter in name if letter.isalnum() or letter in " ,.-:_")[:200].strip()
    return plain if plain and not word_fault(plain) else None


def _paper(claim: Claim) -> Paper | None:
    if not claim.paper_title:
        if claim.paper_url or claim.paper_year:
            raise UsageError("a paper has a title", hint="give --paper-title, too")
        return None
    return Paper(title=claim.paper_title, url=claim.paper_url, year=claim.paper_year)


def prepare_evidence(run: Path, record: EvaluationRecord) -> Evidence:
    """Gathers what stands behind a run.

    Args:
        run: The run folder.
        record: Its record.

    Raises:
        DataError: Its embeddings are missing, or not finished.
        IntegrityError: A manifest is damaged.
    """
    digests = []
    for role in ROLES:
        manifest = read_manifest(run / "embeddings" / role)
        if manifest is None or not manifest.complete:
            raise DataError(f"{run} holds no finished embeddings of the {role}", hint="run `sysu30k-bench eval` again")
        digests += [shard.content_sha256 for shard in manifest.shards]
    return Evidence(
        ranking_sha256=sha256_of_file(run / RANKING_NAME),
        query_fingerprint=record.data.query_fingerprint,
        gallery_fingerprint=record.data.gallery_fingerprint,
        shards_root=merkle_root(digests),
        shards=len(digests),
        **record.model.facts,
        protocol_sha256=record.protocol.sha256,
        tool=record.environment.tool,
    )
