"""`search`: the second step of the main job."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.options import device_option, json_option, search_options


@click.command("search")
@click.argument("run", type=click.Path(path_type=Path))
@search_options
@device_option
@click.option(
    "--self",
    "itself",
    is_flag=True,
    show_envvar=True,
    help="Search the gallery for each of its own images: the --top-k nearest others, in neighbours.h5.",
)
@json_option
def search_command(run: Path, as_json: bool, itself: bool, **options: Any) -> None:  # noqa: ANN401
    """Rank the gallery of the run folder RUN for its queries, exactly; leaves ranking.csv and top.csv there."""
    from sysu30k_bench.cli.requests import search_request
    from sysu30k_bench.errors import DataError
    from sysu30k_bench.evaluation.run_folder import RunFolder
    from sysu30k_bench.evaluation.search_step import neighbours_step, search_step
    from sysu30k_bench.ranks import Ranks

    if not run.is_dir():
        raise DataError(f"there is no run folder {run}", hint="make it with `sysu30k-bench export`")
    folder = RunFolder(run)
    ranks = Ranks.from_environment()
    with folder.locked() if ranks.first else nullcontext(), terminal_progress() as progress:
        if itself:
            path = neighbours_step(folder, search_request(options), progress, ranks)
            if ranks.first:
                click.echo(json.dumps({"neighbours": str(path)}) if as_json else path)
            return
        notes = search_step(folder, search_request(options), progress, ranks)
    if not ranks.first:
        return
    if as_json:
        click.echo(notes.model_dump_json(indent=1))
    else:
        console = stdout_console()
        console.print(f"{notes.gallery:,} gallery images ranked in {notes.seconds:,.1f} s", markup=False)
        console.print(f"{notes.engine} ({notes.engine_reason})", markup=False)
        console.print(f"next: sysu30k-bench score {run}", markup=False, soft_wrap=True)
