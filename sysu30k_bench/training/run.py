"""From a recipe and a data set to checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sysu30k_bench.progress import Progress
from sysu30k_bench.training.fabric import LAST, TrainRequest, make_fabric, require_free
from sysu30k_bench.training.logs import BOARD_NAME, CSV_NAME, CURVE_NAME
from sysu30k_bench.training.recipe import Recipe
from sysu30k_bench.training.state import export_net
from sysu30k_bench.training.table import open_table
from sysu30k_bench.training.trainer import BEST, Trainer


def run_recipe(
    recipe: Recipe, data: Path, dataset: str | None, request: TrainRequest, progress: Progress, *, export: bool = False
) -> dict[str, Any] | None:
    """Trains.

    Args:
        recipe: What to do.
        data: Folder or archive of the data set.
        dataset: The benchmark's name, if it is known.
        request: How to run.
        progress: Told of batches done.
        export: Write the weights under the authors' names, too.

    Returns:
        `last_epoch` (figures), `epochs`, `finished` and `files`, or `replay` (see
        `Trainer.replay`); None in every process but the first.

    Raises:
        UsageError: The run folder holds a run, and resuming was not asked for.
        BenchError: Anything else that the user has to see to.
    """
    require_free(request)
    table = open_table(data, recipe, dataset, progress)
    fabric = make_fabric(request, recipe.run.precision)
    trainer = Trainer(recipe, table, request, fabric, progress)
    if request.replay:
        found = trainer.replay()
        return {"replay": found} if fabric.is_global_zero else None
    state = trainer.fit()
    if not fabric.is_global_zero:
        return None
    finished = state.position.epoch >= recipe.run.epochs
    names = [LAST, BEST, CSV_NAME, CURVE_NAME, BOARD_NAME]
    if export and finished:
        name = f"net_{recipe.run.epochs - 1}.pth"
        export_net(request.folder / name, trainer.network)
        names.append(name)
    return {
        "finished": finished,
        "epochs": state.position.epoch,
        "last_epoch": state.history[-1] if state.history else {},
        "files": [str(request.folder / name) for name in names if (request.folder / name).exists()],
    }
