"""`submit`: a row of the leaderboard, made of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stdout_console
from sysu30k_bench.cli.judge import judge_run
from sysu30k_bench.cli.options import board_option, json_option
from sysu30k_bench.cli.paths import TypedPath

_SUPERVISION = (
    "weakly supervised",
    "self supervised",
    "generalization",
    "supervised",
    "unsupervised",
    "none",
    "unknown",
)


@click.command("submit", cls=Command)
@click.argument("run", type=TypedPath())
@click.option(
    "--id", "row_id", required=True, show_envvar=True, help="Name of the row's file: a to z, 0 to 9, - and _."
)
@click.option("--method", required=True, show_envvar=True, help="Name of the method.")
@click.option(
    "--supervision",
    type=click.Choice(_SUPERVISION),
    required=True,
    show_envvar=True,
    help="How the network was trained.",
)
@click.option("--source", required=True, show_envvar=True, help="Where code or weights are.")
@click.option("--claimed-by", required=True, show_envvar=True, help="Who submits.")
@click.option("--weights", required=True, show_envvar=True, help="The weights, such as the epoch.")
@click.option("--notes", default="", show_envvar=True, help="Other remarks for readers.")
@click.option("--paper-title", default="", show_envvar=True, help="Of the paper that describes the method.")
@click.option("--paper-url", default="", show_envvar=True, help="Its address.")
@click.option("--paper-year", type=click.IntRange(1900, 2100), show_envvar=True, help="Its year.")
@click.option("--trained-on", show_envvar=True, help="Data sets and labels that the weights were trained with.")
@click.option(
    "--corrects",
    show_envvar=True,
    help="Id of an earlier row that this one replaces; the earlier row stays, marked as corrected.",
)
@board_option
@click.option(
    "--practice",
    is_flag=True,
    show_envvar=True,
    help="Rehearse on drawn people: write a row to a practice board (--board; default practice-board).",
)
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Show the row, and write nothing.")
@json_option
def submit(
    run: Path,
    board: Path,
    practice: bool,
    dry_run: bool,
    as_json: bool,
    **said: Any,  # noqa: ANN401
) -> None:
    """Write the leaderboard row of RUN, and its evidence: the ranks of every query, and digests of the embeddings.

    No image and no embedding leaves this machine. Runs that are not official are refused, with the reasons.
    """
    judge_run(run)
    with loading():
        from sysu30k_bench.board.rows import row_bytes
        from sysu30k_bench.board.submit import Claim, prepare

    if practice and click.get_current_context().get_parameter_source("board") is ParameterSource.DEFAULT:
        board = Path("practice-board")
    made = prepare(run, Claim(id=said.pop("row_id"), **said), practice=practice)
    text = row_bytes(made.row).decode()
    if dry_run:
        click.echo(text, nl=False)
        return
    paths = made.write(board)
    if as_json:
        click.echo(text, nl=False)
        return
    for path in paths:
        stdout_console().print(str(path), markup=False, soft_wrap=True)
    for step in (f"render {board} --no-site", f"check {board}"):
        stdout_console().print(f"next: sysu30k-bench leaderboard {step}", markup=False, soft_wrap=True)
