"""`leaderboard check`: the gate of a board."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.words import count


@click.command("check")
@click.argument("board", type=TypedPath(), default=Path("leaderboard"))
@click.option(
    "--base",
    type=TypedPath(),
    show_envvar=True,
    help="The board before the change: what stood there may not be altered.",
)
@json_option
@click.option("--maintainer", is_flag=True, show_envvar=True, help="The change may give rows better statuses.")
def check(board: Path, base: Path | None, maintainer: bool, as_json: bool) -> None:
    """Check every row of BOARD, a folder with rows/ and evidence/, and recompute every number; 1 on a fault."""
    if maintainer and base is None:
        raise click.UsageError("--maintainer says who made a change: give --base, too")
    with loading():
        from sysu30k_bench.board.checks.change import check_change
        from sysu30k_bench.board.checks.check import check_board

    faults = check_board(board) if base is None else check_change(board, base, by_maintainer=maintainer)
    if as_json:
        click.echo(json.dumps({"faults": faults}, indent=1))
    else:
        for fault in faults:
            click.echo(fault)
        click.echo(count(len(faults), "fault") if faults else "no fault found")
    if faults:
        raise click.exceptions.Exit(1)
