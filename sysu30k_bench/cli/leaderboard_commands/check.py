"""`leaderboard check`: the gate of a board."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.options import board_argument, json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.words import count


@click.command("check")
@board_argument(Path("leaderboard"))
@click.option(
    "--base",
    type=TypedPath(),
    show_envvar=True,
    help="The board before the change: its rows must not change.",
)
@json_option
@click.option("--maintainer", is_flag=True, show_envvar=True, help="Allow the change to raise the status of rows.")
def check(board: Path, base: Path | None, maintainer: bool, as_json: bool) -> None:
    """Check every row of BOARD, a folder with rows/ and evidence/, and recompute every number.

    Exits with 1 if a fault is found. Without --base, outdated tables are named, and are no fault.
    """
    if maintainer and base is None:
        raise click.UsageError("--maintainer is for a change: also give --base")
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.board.checks.change import check_change
        from sysu30k_bench.board.checks.check import check_board
        from sysu30k_bench.board.render import stale_files

    faults = check_board(board) if base is None else check_change(board, base, by_maintainer=maintainer)
    outdated = stale_files(board, checked=True) if base is None and not faults else []  # with --base they are faults
    if as_json:
        click.echo(json.dumps({"faults": faults, "outdated": outdated}, indent=1))
    else:
        for fault in faults:
            click.echo(fault)
        click.echo(count(len(faults), "fault") if faults else "no fault found")
    if outdated:
        such = f"{outdated[0]} is" if len(outdated) == 1 else f"{outdated[0]} and {len(outdated) - 1} more are"
        click.echo(f"{such} not what the rows give: run `sysu30k-bench leaderboard render {board}`", err=True)
    if faults:
        raise click.exceptions.Exit(1)
