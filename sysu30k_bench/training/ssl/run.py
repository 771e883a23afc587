"""From a recipe and a data set to checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sysu30k_bench.progress import Progress
from sysu30k_bench.training.fabric import LAST, TrainRequest, make_fabric, require_free
from sysu30k_bench.training.logs import BOARD_NAME, CSV_NAME, CURVE_NAME
from sysu30k_bench.training.ssl.recipe import SslRecipe
from sysu30k_bench.training.ssl.state import export_backbone
from sysu30k_bench.training.ssl.table import open_images
from sysu30k_bench.training.ssl.trainer import SslTrainer

BACKBONE = "backbone.pth"


def run_ssl_recipe(
    recipe: SslRecipe,
    data: Path,
    dataset: str | None,
    request: TrainRequest,
    progress: Progress,
    *,
    export: bool = False,
) -> dict[str, Any] | None:
    """Trains.

    Args:
        recipe: What to do.
        data: Folder or archive of the data set.
        dataset: The benchmark's name, if it is known.
        request: How to run.
        progress: Told of steps done.
        export: Write the trunk alone, too.

    Returns:
        `last_epoch` (figures), `epochs`, `finished` and `files`, or `replay` (see
        `SslTrainer.replay`); None in every process but the first.

    Raises:
        UsageError: The run folder holds a run, and resuming it was not asked for.
        BenchError: Anything else that the user has to see to.
    """
    require_free(request)
    table = open_images(data, dataset, progress)
    fabric = make_fabric(request, recipe.run.precision)
    trainer = SslTrainer(recipe, table, request, fabric, progress)
    if request.replay:
        found = trainer.replay()
        return {"replay": found} if fabric.is_global_zero else None
    state = trainer.fit()
    if not fabric.is_global_zero:
        return None
    names = [LAST, CSV_NAME, CURVE_NAME, BOARD_NAME]
    if export and trainer.finished:
        export_backbone(request.folder / BACKBONE, trainer.network)
        names.append(BACKBONE)
    return {
        "finished": trainer.finished,
        "epochs": state.epoch,
        "last_epoch": state.history[-1] if state.history else {},
        "files": [str(request.folder / name) for name in names if (request.folder / name).exists()],
    }
