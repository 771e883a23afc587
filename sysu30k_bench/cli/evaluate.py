"""`eval`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sysu30k_bench.cli.console import stderr_console, stdout_console, terminal_progress
from sysu30k_bench.cli.options import ALL_SPLITS, SplitChoice, export_options, json_option, search_options

if TYPE_CHECKING:
    from sysu30k_bench.evaluation.request import EvalRequest
    from sysu30k_bench.ranks import Ranks


@click.command("eval")
@export_options
@search_options
@click.option(
    "--split",
    type=SplitChoice(),
    show_envvar=True,
    help="Which of the standard splits, where there are several; `all` evaluates each and averages.",
)
@click.option("--control", type=click.Choice(["random"]), show_envvar=True, help="Evaluate random weights beside it.")
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Tell images, disk, memory and time, and stop.")
@json_option
def evaluate_command(
    control: str | None,
    dry_run: bool,
    as_json: bool,
    split: int | str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Evaluate CHECKPOINT on the test set below --data: embed, search exactly, print a row that can be trusted.

    Running the same command again goes on where it stopped.
    """
    from sysu30k_bench.cli.panel import print_result
    from sysu30k_bench.cli.plan import print_plan
    from sysu30k_bench.cli.requests import eval_request
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.evaluation.evaluate import prepare, run_prepared
    from sysu30k_bench.evaluation.import_step import PreparedImport
    from sysu30k_bench.evaluation.plan import plan
    from sysu30k_bench.ranks import Ranks

    every_split = split == ALL_SPLITS
    options["split"] = None if every_split else split
    request = eval_request(options, control=control == "random")
    ranks = Ranks.from_environment()
    if every_split:
        _evaluate_splits(request, ranks, dry_run=dry_run, as_json=as_json)
        return
    with terminal_progress(quiet=not ranks.first) as progress:
        prepared = prepare(request.export, ranks, progress)
    if dry_run:
        if isinstance(prepared, PreparedImport):
            raise UsageError(
                "a features file needs no estimate: there is nothing to embed", hint="leave --dry-run away"
            )
        if ranks.first:
            print_plan(plan(prepared, request.search, control=request.control), as_json=as_json)
        return
    if ranks.first:
        stderr_console().print(prepared.said, markup=False)
    with terminal_progress(quiet=not ranks.first) as progress:
        record, folder = run_prepared(request, prepared, progress)
    if record is None:
        return
    if as_json:
        click.echo(record.model_dump_json(indent=1))
    else:
        print_result(stdout_console(), record, folder.path)


def _evaluate_splits(request: EvalRequest, ranks: Ranks, *, dry_run: bool, as_json: bool) -> None:
    from sysu30k_bench.cli.panel import splits_table
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.evaluation.splits import evaluate_splits

    if dry_run:
        raise UsageError("--dry-run estimates one split", hint="name it: --split 1")
    with terminal_progress(quiet=not ranks.first) as progress:
        summary, _ = evaluate_splits(request, progress, ranks)
    if summary is None:
        return
    if as_json:
        click.echo(summary.model_dump_json(indent=1))
    else:
        stdout_console().print(splits_table(summary))
