"""`leaderboard audit`: the status `audited`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sysu30k_bench.cli.console import terminal_progress
from sysu30k_bench.cli.options import board_option, json_option, model_options


@click.command("audit")
@click.argument("row")
@model_options
@click.option(
    "--run", type=click.Path(path_type=Path), required=True, show_envvar=True, help="The submitter's run folder."
)
@board_option
@click.option("--by", required=True, show_envvar=True, help="Who audits.")
@click.option("--nonce", default="", show_envvar=True, help="Text that the submitter could not know beforehand.")
@click.option("--queries", type=click.IntRange(1), default=100, show_default=True, show_envvar=True)
@click.option("--distractors", type=click.IntRange(0), default=100, show_default=True, show_envvar=True)
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Say which images and shards it takes, and stop.")
@json_option
def audit_command(
    row: str,
    run: Path,
    board: Path,
    by: str,
    nonce: str,
    queries: int,
    distractors: int,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Encode images of ROW again, picked by its digest, and search its committed embeddings again; 1 if they differ.

    Takes the submitter's checkpoint, the card and options that the row names, and the run folder with the committed
    shards; where shards without picked images are missing, the ranking is not found again, and the audit says so.
    """
    from sysu30k_bench.board.audit import AuditRequest, audit, plan_audit
    from sysu30k_bench.board.status import confirm
    from sysu30k_bench.evaluation.request import ExportRequest

    export = ExportRequest(**{**options, "network_options": dict(options["network_options"])})
    with terminal_progress() as progress:
        plan = plan_audit(AuditRequest(board, row, run, export, by, nonce, queries, distractors), progress)
        if dry_run:
            click.echo(json.dumps(plan.said, indent=1))
            return
        found = audit(plan, progress)
    confirmed = confirm(board, found, "audited")
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    click.echo(f"{row}: {confirmed.status}. {found.said}")
    click.echo(
        f"Forging up to {plan.undetected * 100:.1f} % of the queries would be missed with a chance of 5 % or more."
    )
