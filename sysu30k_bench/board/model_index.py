"""A row in the form that model cards of the Hugging Face hub carry: `model-index`."""

from __future__ import annotations

from sysu30k_bench.board.rows import SCORES, Row
from sysu30k_bench.results.titles import TITLES


def model_index(row: Row) -> bytes:
    """Writes a row as the `model-index` of a model card, to be put between its `---` lines.

    Scores are in per cent. The lists that were searched stand as the data set's revision, where they are known; the
    row's status is in every metric's arguments, so that an unverified claim is not mistaken for a verified one.

    Args:
        row: The row.

    Returns:
        YAML (https://github.com/huggingface/hub-docs/blob/main/modelcard.md).
    """
    import yaml

    dataset: dict[str, object] = {"type": "sysu-30k", "name": "SYSU-30k", "split": "test"}
    if row.practice:
        dataset = {"type": "practice", "name": "practice: drawn people in the layout of SYSU-30k", "split": "test"}
    if row.evidence is not None:
        dataset["revision"] = row.evidence.gallery_fingerprint
    metrics = [
        {
            "type": name,
            "name": TITLES[name],
            "value": round(getattr(row, name) * 100, 4),
            "args": {"n": row.n, "status": row.status},
        }
        for name in SCORES
        if getattr(row, name) is not None
    ]
    result: dict[str, object] = {
        "task": {"type": "image-feature-extraction", "name": "Person re-identification"},
        "dataset": dataset,
        "metrics": metrics,
    }
    if url := _url(row):
        result["source"] = {"name": row.claimed_by, "url": url}
    card = {"model-index": [{"name": row.method, "results": [result]}]}
    made: str = yaml.safe_dump(card, sort_keys=False, allow_unicode=True)
    return made.encode()


def _url(row: Row) -> str:
    """The first thing in the source that is a link: the hub takes a URL and nothing else."""
    return next((word.rstrip(",;.") for word in row.source.split() if word.startswith(("https://", "http://"))), "")
