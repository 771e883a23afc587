"""`data index`: the indexes of tars, ahead of their use."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge_data
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.words import count


@click.command("index")
@click.argument("root", type=TypedPath())
@json_option
def index(root: Path, as_json: bool) -> None:
    """Index every tar at ROOT, a tar or a folder of them. After an interruption the same command resumes.

    Every other command does this by itself where it has to; nothing is unpacked.
    """
    judge_data(root)
    from sysu30k_bench.data.inspect.verify import verify_archives

    with terminal_progress(quiet=as_json) as progress:
        reports = verify_archives(root, progress)
    if as_json:
        click.echo(json.dumps([report.model_dump(exclude={"faults"}) for report in reports], indent=1))
    for report in [] if as_json else reports:
        lines = [f"{report.name}: {report.members:,} files", *(f"  note: {note}" for note in report.notes)]
        stdout_console().print("\n".join(lines), markup=False, soft_wrap=True)
    if not reports and not as_json:
        stdout_console().print(f"there is no tar or zip in {root}", markup=False, soft_wrap=True)
    closed = [f"{report.name}: {report.faults[0]}" for report in reports if report.faults and not report.members]
    if closed:
        raise IntegrityError(
            f"{count(len(closed), 'archive')} below {root} cannot be indexed",
            details=closed,
            hint=f"`sysu30k-bench data verify {root}` lists every fault",
        )
