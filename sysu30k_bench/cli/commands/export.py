"""`export`: the first step of the main job."""

from __future__ import annotations

from typing import Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge
from sysu30k_bench.cli.options import export_options, json_option, split_option
from sysu30k_bench.words import count

_EXAMPLES = (
    ("the three steps of eval, one by one", "export net_6.pth --data SYSU-30k-released --output run"),
    ("", "search run"),
    ("", "score run"),
)


@click.command("export", cls=Command, examples=_EXAMPLES, grouped=True)
@export_options
@split_option
@json_option
def export(as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Embed query and gallery with CHECKPOINT into sharded HDF5; `search` and `score` continue from it."""
    judge(options)
    with loading():
        from sysu30k_bench.cli.requests import export_request
        from sysu30k_bench.evaluation.evaluate import first_step, prepare
        from sysu30k_bench.processes import Ranks

    ranks = Ranks.from_environment()
    with terminal_progress(quiet=not ranks.first) as progress:
        prepared = prepare(export_request(options), ranks, progress)
        notes = first_step(prepared, progress).now
    if not ranks.first:
        return
    if as_json:
        click.echo(notes.model_dump_json(indent=1))
    else:
        console = stdout_console()
        console.print(f"{count(notes.images_embedded, 'image')} embedded in {notes.seconds:,.1f} s", markup=False)
        console.print(f"run folder: {prepared.folder.path}", markup=False, soft_wrap=True)
        console.print(f"next: sysu30k-bench search {prepared.folder.path}", markup=False, soft_wrap=True)
