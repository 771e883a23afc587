"""`leaderboard render`: tables and site."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import loading, stdout_console
from sysu30k_bench.cli.options import board_argument
from sysu30k_bench.cli.paths import TypedPath


@click.command("render")
@board_argument(Path("leaderboard"))
@click.option("--site", type=TypedPath(), show_envvar=True, help="The site's folder; BOARD/site if not given.")
@click.option("--no-site", is_flag=True, show_envvar=True, help="Write the tables only.")
@click.option(
    "--check", "only_check", is_flag=True, show_envvar=True, help="Write nothing; exit with 1 if files are outdated."
)
def render(board: Path, site: Path | None, no_site: bool, only_check: bool) -> None:
    """Write BOARD as Markdown, CSV, JSON, LaTeX, BibTeX, model-index and as a static site, from its rows alone.

    The site needs no server: open its index.html.
    """
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.board.render import stale_files, write_board

    if only_check:
        stale = stale_files(board)
        for name in stale:
            click.echo(f"{name} is not what the rows give")
        if stale:
            raise click.exceptions.Exit(1)
        click.echo("every file is up to date with the rows")
        return
    for path in write_board(board, None if no_site else site or board / "site"):
        stdout_console().print(str(path), markup=False, soft_wrap=True)
