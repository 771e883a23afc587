"""Checkpoints: written whole or not at all, read without running anything in them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.sealed import is_sealed, seal_zip
from sysu30k_bench.training.images import Position
from sysu30k_bench.training.networks import TrainedMGN, TrainedNetwork
from sysu30k_bench.training.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FORMAT = 1


_OTHERS = "best.pt and epoch-N.pt are checkpoints, too: give one of them its name; or start in another --output"


@dataclass
class State:
    """Where a run is.

    Attributes:
        position: The batch to resume with.
        history: A row of figures for each finished epoch.
        running: Sums over the batches of the unfinished one.
        best: Highest validation rank-1 so far.
    """

    position: Position
    history: list[dict[str, float]]
    running: dict[str, float]
    best: float


def save(
    path: Path,
    network: TrainedNetwork,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    fingerprint: str,
    state: State,
    fabric: Fabric,
) -> None:
    """Writes a checkpoint, sealed; its `state_dict` is in a public layout, and `eval` reads it as it is."""
    content = {
        "state_dict": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": fabric.strategy.precision.state_dict(),
        "training": json.dumps(
            {
                "format": FORMAT,
                "recipe": recipe.model_dump(),
                "fingerprint": fingerprint,
                "position": list(state.position),
                "history": state.history,
                "running": state.running,
                "best": state.best,
            }
        ),
    }
    file = io.BytesIO()
    torch.save(content, file)
    write_atomically(path, seal_zip(file))


def resume(
    path: Path,
    network: TrainedNetwork,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    fingerprint: str,
    fabric: Fabric,
) -> State:
    """Fills network, optimiser and, with fp16, the loss scaler from a checkpoint.

    Raises:
        DataError: It does not exist.
        IntegrityError: It is damaged, not written by this package, or without a digest (earlier versions).
        UsageError: It is of another recipe or other data; more epochs are no other recipe.
    """
    if not path.is_file():
        raise DataError(f"there is no {path} to resume from", hint="omit --resume to start a new run")
    if not is_sealed(path):
        raise IntegrityError(
            f"{path} is not a checkpoint of this version's `train`: it was changed or damaged, or an earlier version "
            "wrote it, without a digest",
            hint=_OTHERS,
        )
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        told = json.loads(content["training"])
        weights, steps = content["state_dict"], content["optimizer"]
        before, print_of = Recipe.model_validate(told["recipe"]), told["fingerprint"]
        state = State(Position(*told["position"]), told["history"], told["running"], told["best"])
    except Exception as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise IntegrityError(
            f"{path} is not a checkpoint of this version's `train`: {said}",
            hint=_OTHERS,
        ) from error
    changed = _changes(before, recipe)
    if changed:
        raise UsageError(
            f"{path} is of another recipe", details=changed, hint="use the same settings, or another --output"
        )
    if print_of != fingerprint:
        raise UsageError(f"{path} was trained on other images or bags", hint="use the same --data, or another --output")
    try:
        network.load_state_dict(weights)
        optimizer.load_state_dict(steps)
        fabric.strategy.precision.load_state_dict(content.get("scaler", {}))
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"the tensors of {path} do not fit the recipe: {str(error)[:200]}") from error
    return state


def export_net(path: Path, network: TrainedNetwork) -> None:
    """Writes the weights as the authors' scripts name them: `net_N.pth`, or the graph repository's `model_N.pt`."""
    state = network.state_dict()
    if isinstance(network, TrainedMGN):
        renamed = {_backone(name): value for name, value in state.items()}
    else:
        renamed = {f"module.{name}": value for name, value in state.items()}
    file = io.BytesIO()
    torch.save(renamed, file)
    write_atomically(path, file.getvalue())


def _backone(name: str) -> str:
    for ours, theirs in (
        ("backbone.0.", "backone1.0."),
        ("backbone.1.", "backone1.1."),
        ("backbone.4.", "backone1.4."),
        ("backbone.5.", "backone2.0."),
        ("backbone.6.", "backone2.1."),
    ):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _changes(before: Recipe, after: Recipe) -> list[str]:
    found = []
    for part, old in before.model_dump().items():
        new = after.model_dump()[part]
        if not isinstance(old, dict):
            continue
        for key, value in old.items():
            if value != new[key] and (part, key) not in _MAY_CHANGE:
                found.append(f"{part}.{key} was {value!r} and is {new[key]!r}")
    return found


_MAY_CHANGE = {("run", "epochs"), ("run", "validate_every"), ("run", "save_every"), ("network", "weights")}
