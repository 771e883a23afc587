"""`data`: the data sets as they lie on the disk."""

from __future__ import annotations

import click

from sysu30k_bench.cli.data_commands.bags import bags
from sysu30k_bench.cli.data_commands.index import index
from sysu30k_bench.cli.data_commands.lists import lists
from sysu30k_bench.cli.data_commands.show import show
from sysu30k_bench.cli.data_commands.stats import stats
from sysu30k_bench.cli.data_commands.synth import synth
from sysu30k_bench.cli.data_commands.verify import verify


@click.group()
def data() -> None:
    """Inspect a data set on the disk, or draw a synthetic one."""


for _command in (bags, index, lists, show, stats, synth, verify):
    data.add_command(_command)
