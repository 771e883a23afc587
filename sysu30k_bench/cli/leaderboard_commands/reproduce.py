"""`leaderboard reproduce`: the status `reproduced`."""

from __future__ import annotations

from typing import Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.judge import judge, judge_run
from sysu30k_bench.cli.leaderboard_commands.confirming import confirm_options, run_confirmation
from sysu30k_bench.cli.paths import TypedPath


@click.command("reproduce", cls=Command)
@click.argument("row")
@click.argument("run", type=TypedPath())
@click.option("--by", required=True, show_envvar=True, help="Who made RUN; not the claimant of the row.")
@confirm_options
def reproduce(**options: Any) -> None:  # noqa: ANN401
    """Audit RUN, another person's official run of the same weights, and compare it with ROW.

    Exits with 1 if they differ.
    """
    judge(options)
    judge_run(options["run"], folder=True)
    with loading():
        from sysu30k_bench.board.audit.confirm import plan_reproduction, reproduce_row

    run_confirmation(options, "reproduced", plan_reproduction, reproduce_row)
