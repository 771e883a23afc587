"""What `leaderboard audit` and `leaderboard reproduce` share: what a maintainer names, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sysu30k_bench.cli.console import loading, terminal_progress
from sysu30k_bench.cli.options import board_option, json_option, model_options
from sysu30k_bench.cli.paths import TypedPath

if TYPE_CHECKING:
    from sysu30k_bench.board.audit.audit import AuditPlan
    from sysu30k_bench.board.audit.confirm import ConfirmRequest
    from sysu30k_bench.board.audit.confirmation import Confirmation
    from sysu30k_bench.board.rows import Status
    from sysu30k_bench.progress import Progress

Command = TypeVar("Command", bound=Callable[..., Any])


def confirm_options(command: Command) -> Command:
    """Adds the options of both commands."""
    for option in reversed(
        [
            model_options,
            board_option,
            click.option(
                "--nonce", required=True, show_envvar=True, help="Text that no submitter could know beforehand."
            ),
            click.option(
                "--queries",
                type=click.IntRange(1),
                default=100,
                show_default=True,
                show_envvar=True,
                help="Queries that are encoded again, each with its match.",
            ),
            click.option(
                "--distractors",
                type=click.IntRange(0),
                default=1000,
                show_default=True,
                show_envvar=True,
                help="Distractors that are encoded again.",
            ),
            click.option("--dry-run", is_flag=True, show_envvar=True, help="Print the selected images, and stop."),
            json_option,
        ]
    ):
        command = option(command)
    return command


def run_confirmation(
    options: dict[str, Any],
    status: Status,
    plan: Callable[[ConfirmRequest, Progress], AuditPlan],
    make: Callable[[ConfirmRequest, AuditPlan, Progress], Confirmation],
) -> None:
    """Plans, audits, writes the confirmation, and says what it found.

    Args:
        options: What the user gave.
        status: The row's status if all is well.
        plan: Prepares the work.
        make: Does it.
    """
    with loading():
        from sysu30k_bench.board.audit.confirm import ConfirmRequest
        from sysu30k_bench.board.status import confirm
        from sysu30k_bench.cli.requests import export_request

    dry_run, as_json = options.pop("dry_run"), options.pop("as_json")
    named = {name: options.pop(name) for name in ("board", "row", "run", "by", "nonce", "queries", "distractors")}
    request = ConfirmRequest(export=export_request(options), **named)
    with terminal_progress() as progress:
        planned = plan(request, progress)
        if dry_run:
            click.echo(json.dumps({"row": request.row, "nonce": request.nonce, **planned.summary}, indent=1))
            return
        found = make(request, planned, progress)
    confirmed = confirm(request.board, found, status)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    queries, distractors = planned.undetected
    click.echo(f"{request.row}: {confirmed.status}. {found.summary}")
    if queries or distractors:
        click.echo(
            f"Forged embeddings of up to {queries:,} queries and matches, or of up to {distractors:,} distractors,"
        )
        click.echo("would remain undetected with a probability of 5 % or more.")
    else:
        click.echo("Every image was encoded again.")
    click.echo(f"next: sysu30k-bench leaderboard render {request.board} --no-site")


run_option = click.option(
    "--run", type=TypedPath(), required=True, show_envvar=True, help="The submitter's run folder."
)
