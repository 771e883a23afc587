"""The evaluation record, `result.json`: the metrics, the lists, the model, the environment, and warnings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.results.embedding_facts import EmbeddingFacts, Sha256
from sysu30k_bench.sealed import SealedDocument, document_fault

RESULT_NAME = "result.json"
_MAX_BYTES = 64 << 20

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Score = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Strict):
    """A fraction with its 95 % interval over n queries."""

    value: Fraction
    low: Fraction
    high: Fraction
    n: Count

    @model_validator(mode="after")
    def _ordered(self) -> Metric:
        if not self.low <= self.value <= self.high:
            raise ValueError("low <= value <= high does not hold")
        return self

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)


class MedianRank(_Strict):
    """Median rank of the first match, with its 95 % interval."""

    value: Annotated[float, Field(ge=1.0, allow_inf_nan=False)]
    low: Annotated[float, Field(ge=1.0, allow_inf_nan=False)]
    high: Annotated[float, Field(ge=1.0, allow_inf_nan=False)]
    n: Count


class Metrics(_Strict):
    """The headline numbers; expectations under a random order of ties."""

    rank1: Metric
    rank5: Metric
    rank10: Metric
    rank20: Metric
    ap_standard: Metric
    ap_trapezoid: Metric
    minp: Metric
    median_rank: MedianRank | None


class OpenSet(_Strict):
    """Identification at a threshold (ISO/IEC 19795-1); every query once with its matches and once without them.

    Attributes:
        mated: Mated searches: queries with a match.
        non_mated: Non-mated searches: queries whose best image that is no match is known.
        without_match: Non-mated searches of queries that have no match at all.
        left_out: Queries that are no non-mated search: they were skipped, or rank matches alone.
        threshold_at_fpir1: Score; the least at which no more than 1 % of the non-mated searches return anything.
        reached_fpir1: FPIR there.
        fnir_at_fpir1: Share of mated searches whose match scores below it.
        tpir1_at_fpir1: Share whose match scores at or above it and stands at rank 1.
        tpir20_at_fpir1: The same within rank 20.
        threshold_at_fpir10: As above, for 10 %.
        reached_fpir10: As above.
        fnir_at_fpir10: As above.
        tpir1_at_fpir10: As above.
        tpir20_at_fpir10: As above.
        not_computed: Why rates are missing.
    """

    mated: Count
    non_mated: Count
    without_match: Count
    left_out: Count
    threshold_at_fpir1: Score | None = None
    reached_fpir1: Metric | None = None
    fnir_at_fpir1: Metric | None = None
    tpir1_at_fpir1: Metric | None = None
    tpir20_at_fpir1: Metric | None = None
    threshold_at_fpir10: Score | None = None
    reached_fpir10: Metric | None = None
    fnir_at_fpir10: Metric | None = None
    tpir1_at_fpir10: Metric | None = None
    tpir20_at_fpir10: Metric | None = None
    not_computed: list[str] = []


class Ties(_Strict):
    """Effects of ties, and the numbers of the convention `sysu30k-reference` (every tie against the match)."""

    rank1_optimistic: Fraction
    rank1_pessimistic: Fraction
    reference_rank1: Fraction
    reference_ap_trapezoid: Fraction


class Counts(_Strict):
    """Counts of images and pairs.

    Attributes:
        query: Queries, the denominator of every metric.
        gallery: Gallery images ranked.
        matches: Pairs of query and match.
        tied: Matches that tie with another gallery image.
        unmatched: Queries without a match in the gallery.
        skipped_query: Query images that could not be decoded and were skipped.
        skipped_gallery: Gallery images that could not be decoded and were skipped.
    """

    query: Count
    gallery: Count
    matches: Count
    tied: Count
    unmatched: Count = 0
    skipped_query: Count = 0
    skipped_gallery: Count = 0


class Model(EmbeddingFacts):
    """The network and how much of it came from the checkpoint."""

    title: str
    supervision: str
    network: str
    checkpoint: str
    layout: str
    input: str
    backend: str = "eager"
    parameters: Count
    tensors_loaded: Count
    tensors_missing: list[str] = Field([])
    tensors_unused: list[str] = Field([])


class Protocol(_Strict):
    """The rules by which the numbers were counted."""

    name: str
    sha256: Sha256
    tie: float
    match: str
    junk: str
    headline: str
    top_k: Count


class Data(_Strict):
    """The lists that were evaluated.

    Attributes:
        dataset: The benchmark's name.
        root: The folder that was read.
        query_fingerprint: SHA-256 of the query rows in order.
        gallery_fingerprint: SHA-256 of the gallery rows in order.
        drawn: Whether the images are a synthetic twin's.
        split: Which of the benchmark's standard splits, where there are several.
        whole_gallery: Images of the gallery of which a part was searched (`--distractors`).
    """

    dataset: str
    root: str
    query_fingerprint: Sha256
    gallery_fingerprint: Sha256
    drawn: bool
    split: int | None = None
    whole_gallery: Count | None = None


class Machine(_Strict):
    """A machine and its libraries."""

    tool: str
    python: str
    platform: str
    processor: str
    device: str
    libraries: dict[str, str]


class Environment(Machine):
    """Where the images were embedded, and where and how the gallery was searched.

    Attributes:
        processes: Processes that shared the export.
        engine: The search engine's own description.
        engine_reason: Why it was chosen.
        search: The machine of the search.
    """

    processes: Count
    engine: str
    engine_reason: str
    search: Machine


class Cost(_Strict):
    """Time and memory of the run."""

    images_embedded: Count
    embed_seconds: Positive
    images_per_second: Positive | None
    search_seconds: Positive
    peak_memory_bytes: Count


class HealthRecord(_Strict):
    """Signs of collapse, hubs, and images that are in both query and gallery (see `metrics.health`)."""

    effective_rank: Positive
    mean_cosine: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
    hub_share: Fraction
    same_image: Count


class Control(_Strict):
    """The same network with random weights on the same images."""

    rank1: Metric
    ap_standard: Metric


class EvaluationRecord(SealedDocument):
    """Everything about one evaluation; unknown keys are refused.

    Attributes:
        schema_version: Version of this document's schema.
        created: UTC time, ISO 8601.
        official: Whether this is the published protocol on the published lists by a fully loaded network.
        not_official_because: Every reason against it.
        warnings: Unusual facts, such as ties or signs of collapse.
        ranking_sha256: SHA-256 of the `ranking.csv` that it was computed from; None in records of earlier versions.
        top_sha256: SHA-256 of the `top.csv` beside it.
        open_set: Identification at a threshold; None in records of earlier versions.
    """

    schema_version: Literal[1] = 1
    created: str
    official: bool
    not_official_because: list[str]
    warnings: list[str]
    metrics: Metrics
    ties: Ties
    counts: Counts
    model: Model
    protocol: Protocol
    data: Data
    environment: Environment
    cost: Cost
    health: HealthRecord
    control: Control | None = None
    files: dict[str, str] = Field({})
    ranking_sha256: Sha256 | None = None
    top_sha256: Sha256 | None = None
    open_set: OpenSet | None = None

    @model_validator(mode="after")
    def _official_or_why_not(self) -> EvaluationRecord:
        if self.official == bool(self.not_official_because):
            raise ValueError("official must be true exactly when not_official_because is empty")
        return self

    def write(self, folder: Path) -> Path:
        """Writes `result.json`, sealed and whole."""
        path = folder / RESULT_NAME
        self.write_to(path)
        return path


def read_record(path: Path) -> EvaluationRecord:
    """Reads a `result.json`.

    Raises:
        DataError: There is no such file.
        IntegrityError: It is not an evaluation record (the first faults are listed), or its digest does not fit. One
            without a digest, as earlier versions wrote it, is taken as it is.
    """
    if not path.is_file():
        raise DataError(f"there is no result {path}", hint="make it with `sysu30k-bench eval`")
    if path.stat().st_size > _MAX_BYTES:
        raise IntegrityError(f"{path} is too large for a result")
    raw = path.read_bytes()
    try:
        record = EvaluationRecord.model_validate_json(raw)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}" for fault in error.errors()]
        raise IntegrityError(f"{path} is not an evaluation record", details=faults) from error
    fault = document_fault(raw)
    if fault:
        raise IntegrityError(f"{path} {fault}", hint="run `sysu30k-bench score` again: it rewrites the file")
    return record


def record_schema() -> str:
    """Returns the JSON Schema of the record, as text."""
    return json.dumps(EvaluationRecord.model_json_schema(), indent=1, sort_keys=True) + "\n"
