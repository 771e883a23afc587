"""`eval` of several checkpoints: one pass, one table, the exit code of the worst."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sysu30k_bench.cli.console import print_error, stdout_console, terminal_progress
from sysu30k_bench.cli.run_tables import print_tables
from sysu30k_bench.evaluation.one_pass import Outcome, evaluate_together
from sysu30k_bench.evaluation.request import EvalRequest
from sysu30k_bench.report.runs.listing import list_runs
from sysu30k_bench.words import count


def evaluate_several(request: EvalRequest, checkpoints: Sequence[Path], *, as_json: bool) -> None:
    """Evaluates several checkpoints and prints one table.

    Args:
        request: What to do with each.
        checkpoints: The files.
        as_json: Print a list with an object for each: `checkpoint`, `folder` and `record`, or `error`.

    Raises:
        Exit: Some failed; with the highest of their exit codes.
    """
    with terminal_progress() as progress:
        outcomes = evaluate_together(request, checkpoints, progress)
    if as_json:
        click.echo(json.dumps([_values(one) for one in outcomes], indent=1))
    else:
        folders = [one.done.folder.path for one in outcomes if one.done is not None]
        print_tables(list_runs(folders), "rank1")
        _print_controls(outcomes)
    failed = [one for one in outcomes if one.error is not None]
    for one in failed:
        named = str(one.checkpoint) in str(one.error)
        print_error(str(one.error) if named else f"{one.checkpoint}: {one.error}")
    if failed:
        if not as_json:
            said = f"{count(len(failed), 'checkpoint')} failed, {len(outcomes) - len(failed)} evaluated"
            stdout_console().print(said, markup=False)
        raise click.exceptions.Exit(max(one.error.exit_code for one in failed if one.error is not None))


def _print_controls(outcomes: Sequence[Outcome]) -> None:
    for one in outcomes:
        record = one.done.record if one.done is not None else None
        if record is not None and record.control is not None:
            control = record.control.rank1
            interval = f"{control.low * 100:.2f} to {control.high * 100:.2f}"
            said = f"{one.checkpoint.name} with random weights: rank-1 {control.value * 100:.2f} % ({interval})"
            stdout_console().print(said, markup=False, soft_wrap=True)


def _values(one: Outcome) -> dict[str, Any]:
    said: dict[str, Any] = {"checkpoint": str(one.checkpoint)}
    if one.done is not None and one.done.record is not None:
        return said | {"folder": str(one.done.folder.path), "record": one.done.record.model_dump(mode="json")}
    return said | {"error": str(one.error), "exit_code": one.error.exit_code if one.error else None}
