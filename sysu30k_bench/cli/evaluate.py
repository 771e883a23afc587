"""`eval`: the main job."""

from __future__ import annotations

from typing import Any

import click

from sysu30k_bench.cli.console import stderr_console, stdout_console, terminal_progress
from sysu30k_bench.cli.options import export_options, json_option, search_options


@click.command("eval")
@export_options
@search_options
@click.option("--control", type=click.Choice(["random"]), show_envvar=True, help="Evaluate random weights beside it.")
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Tell images, disk, memory and time, and stop.")
@json_option
def evaluate_command(control: str | None, dry_run: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
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

    request = eval_request(options, control=control == "random")
    ranks = Ranks.from_environment()
    prepared = prepare(request.export, ranks)
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
