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


_OF_ROWS = ("model-index", "eval-results", "every-eval", "in-toto")


@click.command("export")
@click.argument("form", type=click.Choice([*_FILES, "eval-yaml", "croissant", *_OF_ROWS]))
@click.argument("row", required=False)
@click.option("--hub-dataset", show_envvar=True, help="With eval-results: the benchmark's repository, OWNER/NAME.")
@board_option
def export(form: str, row: str | None, hub_dataset: str | None, board: Path) -> None:
    """Print the board as FORM, or one ROW of it.

    Of the whole board: markdown, csv, json, latex, bibtex, schema; eval-yaml (a benchmark on the Hugging Face hub) and
    croissant (Croissant 1.1, without images).

    Of a ROW: model-index (model cards), eval-results (the hub's .eval_results), every-eval (Every Eval Ever 0.3.0)
    and in-toto (a statement about a re-scored row, to be signed).
    """
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.board.render import Board, render
        from sysu30k_bench.errors import UsageError

    if (form in _OF_ROWS) != (row is not None):
        raise UsageError(
            f"{', '.join(_OF_ROWS)} are of one row, and the other forms of the whole board",
            hint="name the row after the form" if row is None else "name another board's folder with --board",
        )
    if (form == "eval-results") != (hub_dataset is not None):
        raise UsageError("--hub-dataset is for eval-results, which needs it")
    found = Board.open(board)
    if row is not None and all(one.id != row for one in found.rows):
        raise UsageError(f"there is no row {row}", hint=f"rows: {', '.join(sorted(one.id for one in found.rows))}")
    if form in _FILES:
        made = render(found)[_FILES[form]]
    else:
        from sysu30k_bench.board.forms.export import form_of_board, form_of_row

        made = form_of_board(found, form) if row is None else form_of_row(found, form, row, hub_dataset)
    click.echo(made.decode(), nl=False)
