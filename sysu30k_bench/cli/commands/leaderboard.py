"""`leaderboard`: the rows, whether they stand, and what is made of them."""

from __future__ import annotations

import click

from sysu30k_bench.cli.leaderboard_commands.audit import audit_command
from sysu30k_bench.cli.leaderboard_commands.check import check
from sysu30k_bench.cli.leaderboard_commands.export import export
from sysu30k_bench.cli.leaderboard_commands.queries import queries
from sysu30k_bench.cli.leaderboard_commands.render import render
from sysu30k_bench.cli.leaderboard_commands.reproduce import reproduce
from sysu30k_bench.cli.leaderboard_commands.rescore import rescore_command
from sysu30k_bench.cli.leaderboard_commands.show import show


@click.group()
def leaderboard() -> None:
    """Show the leaderboard, check it, confirm its rows, or render its tables and pages."""


for _command in (audit_command, check, export, queries, render, reproduce, rescore_command, show):
    leaderboard.add_command(_command)
