"""`report`: one HTML page about a run."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import loading, stderr_console, stdout_console
from sysu30k_bench.cli.judge import judge_data, judge_run
from sysu30k_bench.cli.paths import TypedPath


@click.command("report")
@click.argument("run", type=TypedPath())
@click.option("--compare", "other", type=TypedPath(), show_envvar=True, help="Show which queries flipped against it.")
@click.option("--images", is_flag=True, show_envvar=True, help="Show images; the page is for this machine only.")
@click.option("--data", type=TypedPath(), show_envvar=True, help="With --images: folder or archive of the images.")
@click.option(
    "--output",
    type=TypedPath(),
    show_envvar=True,
    help="The file; report.html in the run folder if not given, or report-local.html with images.",
)
def report(run: Path, other: Path | None, images: bool, data: Path | None, output: Path | None) -> None:
    """Write one HTML page about RUN: headline, figures, worst and near-miss queries, health, environment.

    It contains the names of images but no images. With --images it shows queries, their matches and the impostors
    ranked before them, in a page that only this user may read and that must not be passed on.
    """
    if data is not None and not images:
        raise click.UsageError("--data is for --images")
    judge_run(run)
    if other is not None:
        judge_run(other)
    if data is not None:
        judge_data(data)
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.files import write_atomically
        from sysu30k_bench.report.page import make_report
        from sysu30k_bench.results.record import RESULT_NAME, read_record

    path = output or run / ("report-local.html" if images else "report.html")
    write_atomically(path, make_report(run, other, images=images, data=data).encode(), private=images)
    if images and not read_record(run / RESULT_NAME).data.drawn:
        stderr_console().print("real people: for this machine only, see the data agreement", markup=False)
    stdout_console().print(str(path), markup=False, soft_wrap=True)
