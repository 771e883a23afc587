"""Checkpoints of a self-supervised training: written whole or not at all, read without running anything in them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.sealed import is_sealed, seal_zip
from sysu30k_bench.training.ssl.methods.method import Method
from sysu30k_bench.training.ssl.recipe import SslRecipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FORMAT = 1
_MAY_CHANGE = {("run", "save_every"), ("run", "monitor_every"), ("network", "weights")}


@dataclass
class SslState:
    """Where a run is.

    Attributes:
        epoch: Epoch to resume in, from 0.
        step: Step within it.
        history: A row of figures for each finished epoch.
        running: Sums over the steps of the unfinished one.
        monitors: A row for each look at the features.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    monitors: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Parts:
    """What a checkpoint holds, apart from where the run is.

    Attributes:
        network: The method.
        optimizer: The optimiser.
        fabric: The engine; its precision has a loss scaler with fp16.
        recipe: What is done.
        fingerprint: Of the images.
    """

    network: Method
    optimizer: torch.optim.Optimizer
    fabric: Fabric
    recipe: SslRecipe
    fingerprint: str


def save(path: Path, parts: Parts, state: SslState) -> None:
    """Writes a checkpoint, sealed; `eval` recognises its method and reads it as it is."""
    told = {"format": FORMAT, "recipe": parts.recipe.model_dump(), "fingerprint": parts.fingerprint, **vars(state)}
    content = {
        "state_dict": parts.network.state_dict(),
        "optimizer": parts.optimizer.state_dict(),
        "scaler": parts.fabric.strategy.precision.state_dict(),
        f"ssl_{parts.recipe.method}": json.dumps(told),
    }
    file = io.BytesIO()
    torch.save(content, file)
    write_atomically(path, seal_zip(file))


def export_backbone(path: Path, network: Method) -> None:
    """Writes the trunk alone, in the names that torchvision has; DINO's is the teacher's."""
    name = "backbone_teacher" if hasattr(network, "backbone_teacher") else "backbone"
    file = io.BytesIO()
    torch.save(getattr(network, name).state_dict(), file)
    write_atomically(path, file.getvalue())


def resume(path: Path, parts: Parts) -> SslState:
    """Fills network, optimiser and scaler from a checkpoint.

    Raises:
        DataError: It does not exist.
        IntegrityError: It is damaged, or no checkpoint of this trainer.
        UsageError: It is of another recipe or other images.
    """
    if not path.is_file():
        raise DataError(
            f"{path} does not exist, and nothing else can be resumed", hint="omit --resume to start a new run"
        )
    hint = "begin in another --output"
    if not is_sealed(path):
        raise IntegrityError(f"{path} was changed or damaged, or `train` did not write it", hint=hint)
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        (name,) = (key for key in content if key.startswith("ssl_"))
        told = json.loads(content[name])
        before = SslRecipe.model_validate(told["recipe"])
        state = SslState(told["epoch"], told["step"], told["history"], told["running"], told["monitors"])
    except Exception as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise IntegrityError(f"{path} is no checkpoint of a self-supervised `train`: {said}", hint=hint) from error
    changed = _changes(before, parts.recipe)
    if changed:
        raise UsageError(f"{path} is of another recipe", details=changed, hint=f"use the same settings, or {hint}")
    if told["fingerprint"] != parts.fingerprint:
        raise UsageError(f"{path} was trained on other images", hint=f"use the same --data, or {hint}")
    try:
        parts.network.load_state_dict(content["state_dict"])
        parts.optimizer.load_state_dict(content["optimizer"])
        parts.fabric.strategy.precision.load_state_dict(content["scaler"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"the tensors of {path} do not fit the recipe: {str(error)[:200]}") from error
    return state


def _changes(before: SslRecipe, after: SslRecipe) -> list[str]:
    """Every setting that differs; the number of epochs, too, for schedules depend on it."""
    old, new = before.model_dump(), after.model_dump()
    found = [] if old["method"] == new["method"] else [f"method was {old['method']} and is {new['method']}"]
    for part, values in old.items():
        if isinstance(values, dict):
            found += [
                f"{part}.{key} was {value!r} and is {new[part][key]!r}"
                for key, value in values.items()
                if value != new[part][key] and (part, key) not in _MAY_CHANGE
            ]
    return found
