"""`leaderboard audit`: the status `audited`."""

from __future__ import annotations

from typing import Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.judge import judge, judge_run
from sysu30k_bench.cli.leaderboard_commands.confirming import confirm_options, run_confirmation, run_option


@click.command("audit", cls=Command)
@click.argument("row")
@run_option
@click.option("--by", required=True, show_envvar=True, help="Who audits.")
@confirm_options
def audit_command(**options: Any) -> None:  # noqa: ANN401
    """Encode images of ROW again, selected by its digest, and search its embeddings again; exits with 1 if they differ.

    Takes the submitter's checkpoint, the card and options that the row names, and the run folder with all shards.
    """
    judge(options)
    judge_run(options["run"], folder=True)
    with loading():
        from sysu30k_bench.board.audit.confirm import audit_row, plan_row_audit

    run_confirmation(options, "audited", plan_row_audit, audit_row)
