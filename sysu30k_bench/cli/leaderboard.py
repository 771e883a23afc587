"""`leaderboard`: the rows, and whether they stand."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console
from sysu30k_bench.cli.options import json_option


@click.group()
def leaderboard() -> None:
    """Show the leaderboard, check it, or make its tables and pages."""


@leaderboard.command("show")
@json_option
def show(as_json: bool) -> None:
    """Show every row with its interval, its status and its source."""
    from rich.markup import escape
    from rich.table import Table

    from sysu30k_bench.board.rows import published_rows
    from sysu30k_bench.metrics.intervals import wilson

    rows = published_rows()
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("rank-1 %", justify="right")
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for heading in ("supervision", "status", "claimed by"):
        table.add_column(heading)
    for row in rows:
        interval = wilson(row.rank1 * row.n, row.n)
        bounds = f"{interval.low * 100:.1f} to {interval.high * 100:.1f}"
        values = (row.method, f"{row.rank1 * 100:.1f}", bounds, row.supervision, row.status, row.claimed_by)
        table.add_row(*(escape(value) for value in values))
    console = stdout_console()
    console.print(table)
    console.print("Status `reported`: somebody's word, with no ranking behind it. Sources:", markup=False)
    for source in dict.fromkeys(row.source for row in rows):
        methods = ", ".join(row.method for row in rows if row.source == source)
        console.print(f"  {methods}: {source}", markup=False, soft_wrap=True)


@leaderboard.command("check")
@click.argument("board", type=click.Path(path_type=Path), default=Path("leaderboard"))
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    show_envvar=True,
    help="The board before the change: what stood there may not be altered.",
)
@json_option
@click.option("--maintainer", is_flag=True, show_envvar=True, help="The change may give rows better statuses.")
def check(board: Path, base: Path | None, maintainer: bool, as_json: bool) -> None:
    """Check every row of BOARD, a folder with rows/ and evidence/, and recompute every number; 1 on a fault."""
    from sysu30k_bench.board.check import check_board

    faults = check_board(board, base, by_maintainer=maintainer)
    if as_json:
        click.echo(json.dumps({"faults": faults}, indent=1))
    else:
        for fault in faults:
            click.echo(fault)
        click.echo(f"{len(faults)} faults" if faults else "every row stands")
    if faults:
        raise click.exceptions.Exit(1)


@leaderboard.command("render")
@click.argument("board", type=click.Path(path_type=Path), default=Path("leaderboard"))
@click.option(
    "--site", type=click.Path(path_type=Path), show_envvar=True, help="The site's folder; BOARD/site if not given."
)
@click.option("--no-site", is_flag=True, show_envvar=True, help="Make the tables alone.")
@click.option("--check", "only_check", is_flag=True, show_envvar=True, help="Write nothing; 1 if tables are stale.")
def render(board: Path, site: Path | None, no_site: bool, only_check: bool) -> None:
    """Write BOARD as Markdown, CSV, JSON, LaTeX, BibTeX, model-index and as a static site, of its rows alone.

    The site needs no server: open its index.html.
    """
    from sysu30k_bench.board.render import stale_files, write_board

    if only_check:
        stale = stale_files(board)
        for name in stale:
            click.echo(f"{name} is not what the rows give")
        if stale:
            raise click.exceptions.Exit(1)
        click.echo("every file is what the rows give")
        return
    for path in write_board(board, None if no_site else site or board / "site"):
        stdout_console().print(str(path), markup=False, soft_wrap=True)


@leaderboard.command("queries")
@click.argument("board", type=click.Path(path_type=Path), default=Path("leaderboard"))
@click.option("--shown", type=click.IntRange(0), default=20, show_default=True, show_envvar=True, help="Of each list.")
@json_option
def queries(board: Path, shown: int, as_json: bool) -> None:
    """Say which queries no row with a ranking solves, which one alone solves, and which labels to look at."""
    from sysu30k_bench.board.difficulty import difficulty
    from sysu30k_bench.board.render import standing_rows
    from sysu30k_bench.board.standing import read_evidence

    rows = standing_rows(board)
    evidence = read_evidence(board, rows)
    found = difficulty({row.id: evidence[row.id] for row in rows if row.id in evidence})
    lists = {"solved by no row": list(found.unsolved.index), "label-noise suspects": list(found.suspects.index)}
    lists |= {f"solved by {name} alone": found.only(name) for name in found.rows if len(found.rows) > 1}
    if as_json:
        said = {"rows": found.rows, "left_out": found.left_out, "solved_by": dict(found.histogram), **lists}
        click.echo(json.dumps(said, indent=1))
        return
    click.echo(f"{len(found.table):,} queries, {len(found.rows)} rows with rankings: {', '.join(found.rows)}")
    if found.left_out:
        click.echo(f"left out, being of other queries: {', '.join(found.left_out)}")
    for solved, count in found.histogram:
        click.echo(f"  solved by {solved}: {count:,}")
    for title, keys in lists.items():
        more = ", ..." if len(keys) > shown else ""
        click.echo(f"{title}: {len(keys):,}" + (f" ({', '.join(keys[:shown])}{more})" if keys and shown else ""))
