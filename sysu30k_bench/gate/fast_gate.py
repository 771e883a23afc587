"""The gate in a part of the gallery, and what the whole would say."""

from __future__ import annotations

from pathlib import Path

from sysu30k_bench.data.split import ROLES
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.gate.gate import Predicted, Verdict, gate
from sysu30k_bench.gate.subset_ranks import gallery_keys, rank_within
from sysu30k_bench.metrics.extrapolation import extrapolate_rank1
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.ranked_run import RankedRun, aligned_queries, as_run, read_runs
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, read_record
from sysu30k_bench.words import count


def fast_gate(
    run: Path,
    baseline: Path,
    *,
    max_drop: float,
    alpha: float = 0.05,
    metric: str = "rank1",
    search: SearchRequest | None = None,
    progress: Progress,
) -> Verdict:
    """Tests non-inferiority among a part of the distractors, and predicts rank-1 in the whole gallery.

    Both runs are ranked in the very same part, so that they are paired as in `gate`. Where the baseline searched the
    whole gallery, its own embeddings are searched in the part.

    Args:
        run: Run folder of the candidate, evaluated with `--distractors`.
        baseline: Run folder of the baseline: of the same part, or of the whole gallery with its embeddings.
        max_drop: The largest drop that may be, as a fraction, in the part.
        alpha: Chance of passing a run that is worse by just that much.
        metric: As in `gate`.
        search: How to search the baseline's embeddings.
        progress: Told of rows done.

    Raises:
        UsageError: The candidate searched a whole gallery, or the runs are of different data.
        DataError: A run or its embeddings are missing.
    """
    candidate, held = read_runs([run, baseline])
    data = candidate.record.data if candidate.record is not None else None
    if data is None or data.whole_gallery is None:
        raise UsageError(
            f"{run} did not search a part of a gallery", hint="evaluate it with --distractors N, or omit --fast"
        )
    known = held.record.data if held.record is not None else None
    if known is not None and known.gallery_fingerprint == data.gallery_fingerprint:
        return gate(candidate, held, max_drop=max_drop, alpha=alpha, metric=metric)
    keys = gallery_keys(RunFolder(run))
    progress.say(f"searching {count(len(keys), 'image')} of {baseline}")
    within = as_run(held.name, rank_within(RunFolder(baseline), keys, search or SearchRequest(), progress))
    verdict = gate(candidate, within, max_drop=max_drop, alpha=alpha, metric=metric)
    if known is None or known.whole_gallery is not None:
        return verdict  # the baseline's own gallery is a part, and nothing is known of the whole
    return verdict.model_copy(update={"predicted": _predicted(*aligned_queries([candidate, within, held]))})


def check_baseline(baseline: Path) -> EvaluationRecord:
    """Looks whether a run can be the baseline of a fast gate, before anything is evaluated.

    Returns:
        Its record.

    Raises:
        DataError: It is no run folder with a record and embeddings.
        IntegrityError: It is damaged.
    """
    record = read_record(baseline / RESULT_NAME)
    for role in ROLES:
        Store.open(RunFolder(baseline).embeddings(role))
    return record


def _predicted(candidate: RankedRun, within: RankedRun, held: RankedRun) -> Predicted | None:
    if int(candidate.ranked.min()) >= int(held.ranked.min()):
        return None  # the baseline skipped as many damaged images as the part leaves out
    rank, known, whole = (one.per_query["pessimistic"].fillna(0).to_numpy() for one in (candidate, within, held))
    found = extrapolate_rank1(rank, known, int(candidate.ranked.min()), whole, int(held.ranked.min()))
    if found is None:
        return None
    return Predicted(
        gallery=int(held.ranked.min()),
        rank1=found.value,
        low=found.low,
        high=found.high,
        hindsight=found.hindsight,
        baseline=float(held.hit.mean()),
    )
