"""`leaderboard show`: every row with its interval, its status and its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import stdout_console
from sysu30k_bench.cli.options import board_argument, json_option
from sysu30k_bench.cli.tables import Column, print_table

if TYPE_CHECKING:
    from sysu30k_bench.board.rows import Row

_COLUMNS = (
    Column("method", "name"),
    Column("rank-1 %", "number"),
    Column("95 % interval", "number", goes=1),
    Column("supervision", goes=3),
    Column("status", "name", goes=2),
    Column("claimed by", goes=4),
)


@click.command("show")
@board_argument(None)
@json_option
def show(board: Path | None, as_json: bool) -> None:
    """Show every row with its interval, its status and its source: those of the package, or those of BOARD."""
    from sysu30k_bench.board.rows import published_rows
    from sysu30k_bench.metrics.intervals import wilson
    from sysu30k_bench.metrics.resolution import SHOWN_DISCORDANCES, said

    rows = published_rows() if board is None else _rows_of(board)
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    values = []
    for row in rows:
        interval = wilson(row.rank1 * row.n, row.n)
        bounds = f"{interval.low * 100:.1f} to {interval.high * 100:.1f}"
        values.append((row.method, f"{row.rank1 * 100:.1f}", bounds, row.supervision, row.status, row.claimed_by))
    print_table(_COLUMNS, values)
    console = stdout_console()
    for n in sorted({row.n for row in rows}):
        console.print(f"{said(n, SHOWN_DISCORDANCES)}.", markup=False, soft_wrap=True)
    if any(row.status == "reported" for row in rows):
        console.print("Status `reported`: an unverified claim without a ranking.", markup=False)
    console.print("Sources:", markup=False)
    for source in dict.fromkeys(row.source for row in rows):
        methods = ", ".join(row.method for row in rows if row.source == source)
        console.print(f"  {methods}: {source}", markup=False, soft_wrap=True)


def _rows_of(board: Path) -> list[Row]:
    from sysu30k_bench.board.render import Board

    return Board.open(board).rows
