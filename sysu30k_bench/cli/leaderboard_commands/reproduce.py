"""`leaderboard reproduce`: the status `reproduced`."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.options import board_option, json_option


@click.command("reproduce")
@click.argument("row")
@click.argument("run", type=click.Path(path_type=Path))
@board_option
@click.option("--by", required=True, show_envvar=True, help="Who made RUN; not whoever claims the row.")
@json_option
def reproduce(row: str, run: Path, board: Path, by: str, as_json: bool) -> None:
    """Hold RUN, somebody else's official run of the same weights, against ROW; where they agree, it is reproduced."""
    from sysu30k_bench.board.status import confirm, reproduction

    found = reproduction(board, row, run, by)
    confirmed = confirm(board, found, "reproduced")
    click.echo(found.model_dump_json(indent=1) if as_json else f"{row}: {confirmed.status}. {found.said}")
