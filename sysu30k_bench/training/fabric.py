"""How a run is asked for, and Lightning Fabric, which moves, scales and joins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sysu30k_bench.errors import UsageError
from sysu30k_bench.extras import missing_package

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LAST, BEFORE_FAULT = "last.pt", "before-fault.pt"
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
"""Of a network's arithmetic, in Fabric's words."""


@dataclass(frozen=True)
class TrainRequest:
    """How to run a recipe; none of it changes what is learnt.

    Attributes:
        folder: Where everything goes.
        accelerator: `auto`, `cpu` or `cuda`.
        workers: Decoding processes.
        go_on: Resume from `last.pt`.
        stop_after: Batches (steps, in self-supervised training) to do now; None does all. The run can be resumed later.
        replay: Resume from before the step whose loss was not finite, and look into that step alone.
    """

    folder: Path
    accelerator: str = "auto"
    workers: int = 0
    go_on: bool = False
    stop_after: int | None = None
    replay: bool = False


def require_free(request: TrainRequest) -> None:
    """Refuses to begin a run in a folder that holds one.

    Raises:
        UsageError: The run folder holds a run, and resuming was not asked for.
    """
    if (request.folder / LAST).exists() and not request.go_on:
        raise UsageError(f"{request.folder} holds a run", hint="resume it with --resume, or choose another --output")


def make_fabric(request: TrainRequest, precision: Precision) -> Fabric:
    """Makes the engine, for one process or those of `torchrun`.

    Args:
        request: Says on which kind of device.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.

    Raises:
        DataError: Lightning Fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise missing_package("training needs Lightning Fabric", "lightning_fabric") from error
    import os

    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    fabric = Fabric(
        accelerator=request.accelerator,
        devices=local if world > 1 else 1,
        num_nodes=max(1, world // local),
        strategy="ddp" if world > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    return fabric
