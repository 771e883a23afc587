"""`runs`: all runs below some folders, with their figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stderr_console, stdout_console
from sysu30k_bench.cli.judge import judge_run
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from sysu30k_bench.report.runs.lines import RunLine, RunList, RunTable

_SHARES = (0.05, 0.1, 0.2)
_MISSES = "fnir_at_fpir1"
_SORTS = (*METRICS, "dimension", "images_per_second", "created", "name")
_EXAMPLES = (
    ("all runs below runs/", "runs"),
    ("two folders, by another metric", "runs runs old-runs --sort ap_standard"),
    ("one page over them", "runs --html runs.html"),
)


@click.command("runs", cls=Command, examples=_EXAMPLES)
@click.argument("folders", nargs=-1, type=TypedPath())
@click.option(
    "--sort",
    type=click.Choice(_SORTS),
    default="rank1",
    show_default=True,
    show_envvar=True,
    metavar="NAME",
    help=f"Best first, by one of {', '.join(_SORTS)}.",
)
@click.option("--html", type=TypedPath(), show_envvar=True, help="Write one page over them into this file.")
@json_option
def runs_command(folders: tuple[Path, ...], sort: str, html: Path | None, as_json: bool) -> None:
    """List all runs below FOLDERS (runs/ if none is named) with their figures.

    Each table has the runs of the same lists, in groups that are not significantly different in rank-1; runs of
    different lists are never ranked together. Damaged and unfinished runs are named and do not stop the list.
    """
    from sysu30k_bench.errors import DataError

    looked_in = folders or (Path("runs"),)
    if not folders and not looked_in[0].is_dir():
        raise DataError("there is no folder runs here", hint="name folders with runs: sysu30k-bench runs FOLDER ...")
    for folder in looked_in:
        judge_run(folder, folder=True)
    if html is not None and html.is_dir():
        raise DataError(f"cannot write {html}: it is a folder", hint="name a file, such as --html runs.html")
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
    _print(found, sort)


def _print(found: RunList, sort: str) -> None:
    from sysu30k_bench.metrics.resolution import said

    console = stdout_console()
    for table in found.tables:
        _table(table, sort)
        console.print(f"{said(table.queries, _SHARES)}.\n", markup=False, soft_wrap=True)
    if found.tables:
        console.print(
            "group: not significantly different in rank-1 from the group's best (exact McNemar, Holm over the table)",
            markup=False,
            soft_wrap=True,
        )
    else:
        console.print("no finished run", markup=False)
    for one in found.not_listed:
        hint = f"; {one['hint']}" if one["hint"] else ""
        console.print(f"{one['state']}: {one['folder']}: {one['reason']}{hint}", markup=False, soft_wrap=True)


def _table(table: RunTable, sort: str) -> None:
    from sysu30k_bench.report.runs.lines import caption

    misses = any(_MISSES in line.metrics for line in table.runs)
    more = sort if sort in METRICS and sort not in {"rank1", "ap_standard", "minp", _MISSES} else None
    columns = [
        Column("group", "number", goes=3),
        Column("run", "name"),
        Column("adapter", "name", goes=4),
        Column("rank-1 %", "number"),
        Column("95 % interval", "number", goes=2),
        Column("AP (standard) %", "number", goes=1),
        Column("mINP %", "number", goes=5),
    ]
    columns += [Column(f"{METRICS[_MISSES].title}, % (less is better)", "number", goes=6)] if misses else []
    columns += [Column(f"{METRICS[more].title}, %", "number", goes=1)] if more else []
    columns += [
        Column("dimension", "number", goes=8),
        Column("images/s", "number", goes=9),
        Column("official", "name", goes=7),
        Column("scored", "name", goes=7),
    ]
    rows = [_cells(line, misses=misses, more=more) for line in table.runs]
    print_table(columns, rows, title=caption(table))


def _cells(line: RunLine, *, misses: bool, more: str | None) -> list[str]:
    rank1, speed = line.metrics["rank1"], line.images_per_second
    cells = [str(line.group), line.name, line.adapter, _per_cent(line, "rank1")]
    cells += [f"{rank1.low * 100:.2f} to {rank1.high * 100:.2f}", _per_cent(line, "ap_standard")]
    cells += [_per_cent(line, "minp"), *([_per_cent(line, _MISSES)] if misses else [])]
    cells += [_per_cent(line, more)] if more else []
    cells += [f"{line.dimension:,}", "" if speed is None else f"{speed:,.1f}"]
    return [*cells, "official" if line.official else "not official", line.created[:10]]


def _per_cent(line: RunLine, name: str) -> str:
    metric = line.metrics.get(name)
    return "" if metric is None else f"{metric.value * 100:.2f}"
