"""`leaderboard export`: a board in one of its forms, on stdout."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.options import board_option

_FILES = {
    "markdown": "README.md",
    "csv": "leaderboard.csv",
    "json": "leaderboard.json",
    "latex": "leaderboard.tex",
    "bibtex": "leaderboard.bib",
    "schema": "row.schema.json",
}


@click.command("export")
@click.argument("form", type=click.Choice([*_FILES, "model-index"]))
@click.argument("row", required=False)
@board_option
def export(form: str, row: str | None, board: Path) -> None:
    """Print the board as FORM; model-index takes the id of a ROW."""
    with loading():
        from sysu30k_bench.board.render import Board, render
        from sysu30k_bench.errors import UsageError

    if (form == "model-index") != (row is not None):
        raise UsageError("model-index is of one row, and the other forms of the whole board")
    made = render(Board.open(board))
    name = _FILES[form] if row is None else f"model-index/{row}.yml"
    if name not in made:
        known = ", ".join(sorted(path.removeprefix("model-index/")[:-4] for path in made if path.endswith(".yml")))
        raise UsageError(f"there is no row {row}", hint=f"rows: {known}")
    click.echo(made[name].decode(), nl=False)
