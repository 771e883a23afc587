"""`compare`: runs against each other, paired by query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import stdout_console
from sysu30k_bench.cli.options import json_option

if TYPE_CHECKING:
    from sysu30k_bench.results.compare import Comparison, Pair

_SHOWN = 5


@click.command("compare")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@json_option
def compare_command(runs: tuple[Path, ...], as_json: bool) -> None:
    """Compare RUNS, run folders or ranking files of the same lists: which differences are more than chance.

    Exact McNemar test on rank-1, paired bootstrap, Holm's correction over all pairs, and which queries flipped.
    """
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.results.compare import compare
    from sysu30k_bench.results.ranked_run import read_runs

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs", hint="sysu30k-bench compare RUN OTHER ...")
    found = compare(read_runs(runs))
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    _print(found)


def _print(found: Comparison) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = stdout_console()
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "rank-1 %", "AP (standard) %"):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for run in found.runs:
        table.add_row(escape(run.name), f"{run.rank1 * 100:.2f}", f"{run.ap_standard * 100:.2f}")
    console.print(table)
    for pair in found.pairs:
        console.print("\n" + "\n".join(_pair(pair, several=len(found.pairs) > 1)), markup=False, soft_wrap=True)
    console.print(
        f"\n{found.n:,} queries; fewer than {found.least_of_n} that differ can never be told from chance", markup=False
    )


def _reachable(pair: Pair) -> str:
    differing = len(pair.only_first) + len(pair.only_second)
    if pair.least_difference > differing:
        return "so few that differ cannot reach 0.05"
    return f"a net {pair.least_difference} would reach 0.05"


def _pair(pair: Pair, *, several: bool) -> list[str]:
    holm = f", {pair.p_holm:.3g} after Holm" if several else ""
    rank1, ap = (
        f"{one.value * 100:+.2f} points ({one.low * 100:+.2f} to {one.high * 100:+.2f})"
        for one in (pair.rank1, pair.ap_standard)
    )
    lines = [
        f"{pair.first} -> {pair.second}",
        f"  rank-1 {rank1}; AP {ap}",
        f"  rank 1 in the first alone {len(pair.only_first)}, in the second alone {len(pair.only_second)}: "
        f"exact McNemar p = {pair.p:.3g}{holm}; {_reachable(pair)}",
    ]
    for said, keys in (("lost", pair.only_first), ("won", pair.only_second)):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            lines.append(f"  {said}: {', '.join(keys[:_SHOWN])}{more}")
    return lines
