"""Evaluation in the loop: the same public function that `eval` calls, on images held back from training."""

from __future__ import annotations

import shutil
from pathlib import Path

from sysu30k_bench.data.split import TestSet
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest, SearchRequest
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.recipe import Recipe


def validate(checkpoint: Path, lists: TestSet, output: Path, recipe: Recipe) -> dict[str, float]:
    """Evaluates a checkpoint on held-back images.

    Args:
        checkpoint: As `train` writes it.
        lists: The images.
        output: The run folder of the evaluation.
        recipe: Of the training; says what the weights do not tell.

    Returns:
        `validation_rank1` and `validation_ap`.
    """
    shutil.rmtree(output, ignore_errors=True)  # of an epoch that was interrupted
    options = {"norm": "group"} if recipe.network.norm == "group" else {}
    request = ExportRequest(checkpoint, lists=lists, output=output, network_options=options)
    record, _ = evaluate(EvalRequest(request, SearchRequest()), Silent(), Ranks())
    if record is None:
        raise IntegrityError("the validation returned no record")
    return {"validation_rank1": record.metrics.rank1.value, "validation_ap": record.metrics.ap_standard.value}
