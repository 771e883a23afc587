"""One checkpoint, measured: retrieval on a fixed part, and the health of its features."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sysu30k_bench.data.images import decode
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.evaluation.embedding.model import ready_model
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.formats.checkpoint import read_checkpoint
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.results.ranked_run import RankedRun, read_run
from sysu30k_bench.training.ssl.monitor import look

_LOOKED_AT = 128


@dataclass(frozen=True)
class Measured:
    """What a checkpoint gives.

    Attributes:
        adapter: The card that it was recognised by.
        figures: By name.
        ranks: Expected rank of each query's first match.
    """

    adapter: str
    figures: dict[str, float]
    ranks: pd.Series[float]


def measure(request: ExportRequest, lists: TestSet, folder: Path) -> Measured:
    """Evaluates a checkpoint with all queries, and looks at its features before they are normalised.

    Args:
        request: The checkpoint, and how to embed; its part of the distractors is the same for all.
        lists: The test set, opened.
        folder: For the evaluation; embeddings in it are removed afterwards.

    Raises:
        BenchError: The checkpoint cannot be evaluated.
    """
    record, made = evaluate(EvalRequest(request), Silent(), Ranks())
    run = read_run(made.path)
    shutil.rmtree(folder / "embeddings", ignore_errors=True)
    assert record is not None  # noqa: S101  one process evaluates alone
    ranks = run.per_query["first_rank"]
    rank1, ap = record.metrics.rank1, record.metrics.ap_standard
    figures = {
        "rank1": rank1.value,
        "rank1_low": rank1.low,
        "rank1_high": rank1.high,
        "ap": ap.value,
        "ap_low": ap.low,
        "ap_high": ap.high,
        "log_rank": float(np.log(ranks.dropna()).mean()) if ranks.notna().any() else math.nan,
        "hub_share": record.health.hub_share,
    }
    embedder = ready_model(request, torch.device("cpu")).embedder
    return Measured(record.model.adapter, figures | _features(embedder, lists, run), ranks)


def _features(embedder: Embedder, lists: TestSet, run: RankedRun) -> dict[str, float]:
    """Looks at the trunk's features of up to 128 queries, and of a match of each."""
    match = dict(sorted(run.pairs, reverse=True))
    queries = [key for key in run.per_query.index[:_LOOKED_AT] if key in match]
    shown = [
        torch.stack([_pixels(embedder, lists, key) for key in keys])
        for keys in (queries, [match[key] for key in queries])
        if keys
    ]
    if not shown or embedder.takes_camera:
        return {}
    with torch.inference_mode():
        features = [embedder.trunk(images) for images in shown]
    pooled = [one.mean(dim=(2, 3)) if one.dim() == 4 else one for one in features]
    return look(pooled[0], pooled[1])


def _pixels(embedder: Embedder, lists: TestSet, key: str) -> torch.Tensor:
    size = embedder.input
    pixels = torch.from_numpy(decode(lists.images.read(key), size.height, size.width, size.interpolation)).float()
    values = pixels.flip(0) if size.channels == "bgr" else pixels
    values = values / 255 if size.scale == "unit" else values
    return (values - embedder.mean) / embedder.std


def holds_nan(path: Path) -> bool:
    """Returns whether a readable checkpoint has floating-point tensors that are not finite."""
    tensors = read_checkpoint(path).flat.tensors
    return any(
        value.is_floating_point() and not bool(torch.isfinite(value.float()).all()) for value in tensors.values()
    )
