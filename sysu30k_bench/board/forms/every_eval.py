"""A row as the JSON of Every Eval Ever, schema 0.3.0 (https://github.com/evaleval/every_eval_ever)."""

from __future__ import annotations

import json

from sysu30k_bench._version import __version__
from sysu30k_bench.board.forms.row_scores import Score, first_url, row_scores
from sysu30k_bench.board.rows import Row
from sysu30k_bench.metrics.intervals import LEVEL, RESAMPLES
from sysu30k_bench.results.ranked_run import RankedRun

SCHEMA_VERSION = "0.3.0"
_BENCHMARK = "https://github.com/wanggrun/SYSU-30k"


def every_eval(row: Row, evidence: RankedRun | None, retrieved: int) -> bytes:
    """Writes a row; scores are fractions, with their intervals and the digest of the ranking behind them.

    Args:
        row: The row.
        evidence: Its ranking.
        retrieved: When the row was read, in seconds since 1970.
    """
    url = first_url(row.source)
    source: dict[str, object] = {
        "source_name": "SYSU-30k leaderboard" if not row.practice else "practice board of drawn people",
        "source_type": "documentation" if row.evidence is None else "evaluation_run",
        "source_organization_name": row.claimed_by,
        "evaluator_relationship": "other",
        "additional_details": {"status": row.status, "source": row.source},
    }
    if url:
        source["source_organization_url"] = url
    model: dict[str, object] = {
        "name": row.method,
        "id": row.id,
        "additional_details": {
            "deployment_type": "unknown" if row.evidence is None else "self_deployed",
            "model_availability": "unknown",
            "supervision": row.supervision,
            "weights": row.weights,
            **({"trained_on": row.trained_on} if row.trained_on else {}),
            **({"weights_sha256": row.evidence.weights_sha256} if row.evidence else {}),
        },
    }
    made: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"sysu-30k/{row.id}/{retrieved}",
        "retrieved_timestamp": str(retrieved),
        "source_metadata": source,
        "model_info": model,
        "eval_library": _library(row),
        "evaluation_results": [_result(row, score) for score in row_scores(row, evidence)],
    }
    if row.date is not None:
        made["evaluation_timestamp"] = row.date
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()


def _library(row: Row) -> dict[str, str]:
    if row.evidence is None:
        return {"name": "unknown", "version": "unknown"}
    name, _, version = row.evidence.tool.partition(" ")
    return {"name": name or "sysu30k-bench", "version": version or __version__}


def _result(row: Row, score: Score) -> dict[str, object]:
    data: dict[str, str] = {"queries": str(row.n)}
    if row.evidence is not None:
        data |= {
            "query_fingerprint": row.evidence.query_fingerprint,
            "gallery_fingerprint": row.evidence.gallery_fingerprint,
        }
    details: dict[str, object] = {"score": score.value}
    if score.low is not None and score.high is not None:
        interval = {"lower": score.low, "upper": score.high, "confidence_level": LEVEL, "method": score.method}
        details["uncertainty"] = {"confidence_interval": interval, "num_samples": row.n}
        if "bootstrap" in score.method:
            details["uncertainty"]["num_bootstrap_samples"] = RESAMPLES  # type: ignore[index]
    if row.evidence is not None:
        details["details"] = {"ranking_sha256": row.evidence.ranking_sha256}
    return {
        "evaluation_name": f"SYSU-30k, {score.title}" if not row.practice else f"practice, {score.title}",
        "source_data": {
            "dataset_name": "SYSU-30k" if not row.practice else "drawn people",
            **({"source_type": "other"} if row.practice else {"source_type": "url", "url": [_BENCHMARK]}),
            "additional_details": data,
        },
        "metric_config": {
            "metric_id": score.name,
            "metric_name": score.title,
            "metric_unit": "fraction",
            "lower_is_better": score.lower_is_better,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": details,
    }
