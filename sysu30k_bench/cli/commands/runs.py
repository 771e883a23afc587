"""`runs`: all runs below some folders, with their figures."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stderr_console
from sysu30k_bench.cli.judge import judge_run
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.report.runs.sorts import SORTS

_EXAMPLES = (
    ("all runs below runs/", "runs"),
    ("two folders, by another metric", "runs runs old-runs --sort ap_standard"),
    ("one page over them", "runs --html runs.html"),
)


@click.command("runs", cls=Command, examples=_EXAMPLES)
@click.argument("folders", nargs=-1, type=TypedPath())
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="rank1",
    show_default=True,
    show_envvar=True,
    metavar="NAME",
    help=f"Best first, by one of {', '.join(SORTS)}.",
)
@click.option("--html", type=TypedPath(), show_envvar=True, help="Write one page over them into this file.")
@json_option
def runs_command(folders: tuple[Path, ...], sort: str, html: Path | None, as_json: bool) -> None:
    """List all runs below FOLDERS (runs/ if none is named) with their figures.

    Each table has the runs of the same lists, in groups that are not significantly different in rank-1; runs of
    different lists are never ranked together. Damaged and unfinished runs are named and do not stop the list.
    """
    from sysu30k_bench.errors import DataError, UsageError

    looked_in = folders or (Path("runs"),)
    if not folders and not looked_in[0].is_dir():
        raise DataError("there is no folder runs here", hint="name folders with runs: sysu30k-bench runs FOLDER ...")
    for folder in looked_in:
        judge_run(folder, folder=True)
    if html is not None and html.is_dir():
        raise DataError(f"cannot write {html}: it is a folder", hint="name a file, such as --html runs.html")
    if html is not None and html.suffix.lower() not in {".html", ".htm"}:  # a slip would cost a run its record
        raise UsageError(f"--html {html}: the name of a page ends in .html", hint="--html runs.html")
    with loading():
        from sysu30k_bench.report.runs.listing import list_runs

    found = list_runs(looked_in, sort)
    if html is not None:
        from sysu30k_bench.files import write_atomically
        from sysu30k_bench.report.runs.page import runs_page

        write_atomically(html, runs_page(found, html.parent, sort).encode())
        stderr_console().print(f"wrote {html}", markup=False, soft_wrap=True)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    from sysu30k_bench.cli.run_tables import print_tables

    print_tables(found, sort)
