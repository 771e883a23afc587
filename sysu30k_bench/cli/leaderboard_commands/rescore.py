"""`leaderboard rescore`: the status `re-scored`."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.options import board_option


@click.command("rescore")
@click.argument("row")
@board_option
def rescore_command(row: str, board: Path) -> None:
    """Recompute every number of ROW from its ranking, and set its status to re-scored.

    Exits with 1 if a number differs.
    """
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.board.status import rescore

    click.echo(f"{row}: {rescore(board, row).status}")
    click.echo(f"next: sysu30k-bench leaderboard render {board} --no-site")
