"""`leaderboard queries`: which are hard."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.options import board_argument, json_option


@click.command("queries")
@board_argument(Path("leaderboard"))
@click.option("--shown", type=click.IntRange(0), default=20, show_default=True, show_envvar=True, help="Of each list.")
@json_option
def queries(board: Path, shown: int, as_json: bool) -> None:
    """List the queries that no row with a ranking solves, those that only one solves, and labels to inspect."""
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.board.difficulty import difficulty
        from sysu30k_bench.board.render import Board

    found = difficulty(Board.open(board).evidence)
    lists = {"solved by no row": list(found.unsolved.index), "label-noise suspects": list(found.suspects.index)}
    lists |= {f"solved by {name} alone": found.only(name) for name in found.rows if len(found.rows) > 1}
    if as_json:
        said = {"rows": found.rows, "left_out": found.left_out, "solved_by": dict(found.histogram), **lists}
        click.echo(json.dumps(said, indent=1))
        return
    click.echo(f"{len(found.table):,} queries, {len(found.rows)} rows with rankings: {', '.join(found.rows)}")
    if found.left_out:
        click.echo(f"omitted, because they have other queries: {', '.join(found.left_out)}")
    for solved, count in found.histogram:
        click.echo(f"  solved by {solved}: {count:,}")
    for title, keys in lists.items():
        more = ", ..." if len(keys) > shown else ""
        click.echo(f"{title}: {len(keys):,}" + (f" ({', '.join(keys[:shown])}{more})" if keys and shown else ""))
