"""`report`: one HTML page about a run."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--compare", "other", type=click.Path(path_type=Path), show_envvar=True, help="Show what flipped against it."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    show_envvar=True,
    help="The file; report.html in the run folder if not given.",
)
def report(run: Path, other: Path | None, output: Path | None) -> None:
    """Write one HTML page about RUN: headline, figures, worst and near-miss queries, health, environment.

    It holds the names of images and none of the images.
    """
    from sysu30k_bench.files import write_atomically
    from sysu30k_bench.report.page import make_report

    path = output or run / "report.html"
    write_atomically(path, make_report(run, other).encode())
    stdout_console().print(str(path), markup=False, soft_wrap=True)
