"""The Hugging Face hub: a benchmark's `eval.yaml`, and a row as a model's `.eval_results/*.yaml`.

Both are described at https://huggingface.co/docs/hub/eval-results.
"""

from __future__ import annotations

import re

from sysu30k_bench.board.forms.row_scores import first_url, row_scores
from sysu30k_bench.board.practice import Rules
from sysu30k_bench.board.rows import OPEN_SET_SCORES, SCORES, Row
from sysu30k_bench.errors import UsageError
from sysu30k_bench.metrics.catalogue import METRICS

_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_WHOLE_DAY = 10


def eval_yaml(rules: Rules) -> bytes:
    """Writes the benchmark's `eval.yaml`, a task for every score, each of which is a leaderboard of the hub.

    Args:
        rules: Of the board.
    """
    import yaml

    name = "Practice: drawn people in the layout of SYSU-30k" if rules.practice else "SYSU-30k"
    made = {
        "name": name,
        "description": f"Person re-identification: {rules.queries:,} queries, each with one match among some "
        f"{rules.galleries[len(rules.galleries) // 2]:,} images. Scores in per cent.",
        "evaluation_framework": "sysu30k-bench",
        "tasks": [{"id": score, "config": "default", "split": "test"} for score in (*SCORES, *OPEN_SET_SCORES)],
    }
    text: str = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


def eval_results(row: Row, dataset: str) -> bytes:
    """Writes a row as the file that lies in a model's `.eval_results/`.

    Args:
        row: The row.
        dataset: The benchmark's repository on the hub, `owner/name`.

    Raises:
        UsageError: It is no name of a repository.
    """
    import yaml

    if not _DATASET.fullmatch(dataset):
        raise UsageError(f"{dataset!a} is no data set of the hub", hint="--hub-dataset OWNER/NAME")
    url = first_url(row.source)
    entries = []
    for score in row_scores(row, None):
        entry: dict[str, object] = {
            "dataset": {"id": dataset, "task_id": score.name},
            "value": round(score.value * 100, 4),
        }
        if row.date is not None and len(row.date) == _WHOLE_DAY:  # the hub takes days and times, not years
            entry["date"] = row.date
        if url:
            entry["source"] = {"url": url, "name": row.claimed_by}
        interval = (
            f"; 95 % interval {score.low * 100:.2f} to {score.high * 100:.2f}" if score.low and score.high else ""
        )
        ranking = f"; ranking sha256 {row.evidence.ranking_sha256}" if row.evidence else ""
        practice = "practice row on drawn people; " if row.practice else ""
        entry["notes"] = (
            f"{practice}{METRICS[score.name].title}, %; status {row.status}; n = {row.n}{interval}{ranking}"
        )
        entries.append(entry)
    text: str = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()
