"""From a summary of numbers to the metrics of a record."""

from __future__ import annotations

import json

from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.metrics.catalogue import RATES
from sysu30k_bench.metrics.intervals import Interval
from sysu30k_bench.metrics.open_set.points import operating_point
from sysu30k_bench.metrics.open_set.searches import Searches
from sysu30k_bench.metrics.summary import Summary
from sysu30k_bench.results.record import Counts, MedianRank, Metric, Metrics, OpenSet, Protocol, Ties
from sysu30k_bench.search.ranking import Ranking
from sysu30k_bench.search.score import TIE

_RULES = {
    "name": "sysu30k",
    "tie": TIE,
    "match": "same person, another camera",
    "junk": "same person and camera, or label -1; distractors stay in the ranking",
    "headline": "expectation under random tie order; queries without a match count as misses",
}


def protocol(top_k: int) -> Protocol:
    """Returns the rules that this version counts by, with a digest of them."""
    digest = sha256_of_text(json.dumps(_RULES, sort_keys=True))
    return Protocol.model_validate({**_RULES, "sha256": digest, "top_k": top_k})


def metrics_of(summary: Summary) -> Metrics:
    """Turns a summary into the record's metrics."""
    middle = summary.median_rank
    return Metrics(
        rank1=_metric(summary.rank[1], summary.n),
        rank5=_metric(summary.rank[5], summary.n),
        rank10=_metric(summary.rank[10], summary.n),
        rank20=_metric(summary.rank[20], summary.n),
        ap_standard=_metric(summary.ap_standard, summary.n),
        ap_trapezoid=_metric(summary.ap_trapezoid, summary.n),
        minp=_metric(summary.minp, summary.n),
        median_rank=None if middle is None else MedianRank(**middle._asdict(), n=summary.n),
    )


def open_set_of(searches: Searches) -> OpenSet:
    """Computes the record's rates at a threshold.

    Args:
        searches: Mated and non-mated searches of a run.
    """
    mated = int(searches.with_mate.sum())
    others = int(searches.without_mate.sum())
    found: dict[str, object] = {}
    missing = []
    for per_cent, rate in RATES.items():
        point = operating_point(searches, rate)
        if isinstance(point, str):
            missing.append(point)
            continue
        found |= {
            f"threshold_at_fpir{per_cent}": point.threshold,
            f"reached_fpir{per_cent}": _metric(point.fpir, others),
            f"fnir_at_fpir{per_cent}": _metric(point.fnir, mated),
            **{f"tpir{k}_at_fpir{per_cent}": _metric(value, mated) for k, value in point.tpir.items()},
        }
    counts = {
        "mated": mated,
        "non_mated": others,
        "without_match": searches.real_non_mated,
        "left_out": int((~searches.without_mate).sum()),
    }
    return OpenSet.model_validate({**counts, **found, "not_computed": missing})


def ties_of(summary: Summary) -> Ties:
    """Turns a summary into the record's bounds under ties."""
    return Ties(
        rank1_optimistic=summary.rank1_optimistic,
        rank1_pessimistic=summary.rank1_pessimistic,
        reference_rank1=summary.rank1_pessimistic,
        reference_ap_trapezoid=summary.ap_trapezoid_pessimistic,
    )


def counts_of(ranking: Ranking, gallery: int, skipped_query: int = 0, skipped_gallery: int = 0) -> Counts:
    """Counts a ranking.

    Args:
        ranking: The exact ranks.
        gallery: Gallery images searched.
        skipped_query: Query images that could not be decoded.
        skipped_gallery: Gallery images that could not be decoded.
    """
    matched = ranking.matched
    return Counts(
        query=len(ranking.query_keys),
        gallery=gallery,
        matches=len(matched),
        tied=int((matched["rank_high"] > matched["rank_low"]).sum()),
        unmatched=len(ranking.unmatched),
        skipped_query=skipped_query,
        skipped_gallery=skipped_gallery,
    )


def _metric(interval: Interval, n: int) -> Metric:
    return Metric(**interval._asdict(), n=n)
