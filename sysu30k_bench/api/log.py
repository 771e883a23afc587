"""Results in the logs of a training: a CSV, TensorBoard, or a function of the caller's."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from sysu30k_bench.api.result import Result
from sysu30k_bench.api.splits import SplitResults
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.extras import missing_package
from sysu30k_bench.files import write_atomically
from sysu30k_bench.words import with_article


@runtime_checkable
class ScalarWriter(Protocol):
    """TensorBoard's `SummaryWriter`, or an object with the same method."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> object:
        """Writes a number."""


Log: TypeAlias = str | os.PathLike[str] | ScalarWriter | Callable[[dict[str, float], int | None], object]
"""Where results go: a `.csv`, a folder for TensorBoard, a `SummaryWriter`, or a function of (metrics, step)."""


def log_result(result: Result | SplitResults, to: Log, *, step: int | None = None, prefix: str = "retrieval/") -> None:
    """Writes the metrics of a result.

    Args:
        result: As `evaluate` and `score` return it.
        to: A path that ends in `.csv`, to which a row is added; any other path, a folder for TensorBoard; a
            `SummaryWriter`; or a function that is called with a dictionary of metrics and the step.
        step: Number of the epoch or step.
        prefix: Prefix of the metrics' names, except in a CSV.

    Raises:
        UsageError: `to` is of another kind, `result` is not a result, or `step` is not an integer.
        IntegrityError: The CSV has other columns.
        DataError: It cannot be written, or TensorBoard is not installed.
    """
    if not isinstance(result, Result | SplitResults):
        raise UsageError(f"result is {with_article(type(result).__name__)}; give a result of evaluate() or score()")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | np.integer)):
        raise UsageError(f"step is {step!r}; it is a whole number")
    metrics = result.metrics
    named = {f"{prefix}{name}": value for name, value in metrics.items()}
    if isinstance(to, str | os.PathLike):
        path = Path(to)
        if path.suffix.lower() == ".csv":
            _add_row(path, step, metrics)
        else:
            _to_tensorboard(path, step, named)
    elif isinstance(to, ScalarWriter):
        for tag, value in named.items():
            to.add_scalar(tag, value, step)
    elif callable(to):
        to(named, step)
    else:
        raise UsageError(
            f"to is a {type(to).__name__}", hint="a path, a SummaryWriter, or a function of (metrics, step)"
        )


def _add_row(path: Path, step: int | None, metrics: dict[str, float]) -> None:
    columns = ["step", *metrics]
    before = path.read_text("utf-8") if path.is_file() else ""
    if before and next(csv.reader(io.StringIO(before))) != columns:
        raise IntegrityError(f"{path} has other columns than {', '.join(columns)}", hint="choose another file")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if not before:
        writer.writerow(columns)
    writer.writerow(["" if step is None else step, *metrics.values()])
    joined = before if not before or before.endswith("\n") else f"{before}\n"
    write_atomically(path, (joined + out.getvalue()).encode())


def _to_tensorboard(folder: Path, step: int | None, named: dict[str, float]) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise missing_package("a folder of logs needs TensorBoard", "tensorboard") from error
    with SummaryWriter(str(folder)) as writer:
        for tag, value in named.items():
            writer.add_scalar(tag, value, step)
