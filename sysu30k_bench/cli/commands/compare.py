"""`compare`: runs against each other, paired by query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stderr_console, stdout_console
from sysu30k_bench.cli.judge import judge_run
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.words import count

if TYPE_CHECKING:
    from sysu30k_bench.results.compare import Comparison, Pair

_SHOWN = 5
_COLUMNS = (Column("run", "name"), Column("rank-1 %", "number"), Column("AP (standard) %", "number", goes=1))
_EXAMPLES = (
    ("two runs of the same lists", "compare runs/new runs/released"),
    ("all pairs of several, corrected by Holm", "compare runs/a runs/b runs/c --json"),
)


@click.command("compare", cls=Command, examples=_EXAMPLES)
@click.argument("runs", nargs=-1, type=TypedPath())
@json_option
def compare_command(runs: tuple[Path, ...], as_json: bool) -> None:
    """Compare RUNS, run folders or ranking files of the same lists: which differences are significant.

    Exact McNemar test on rank-1, paired bootstrap, Holm's correction over all pairs, and which queries flipped.
    """
    from sysu30k_bench.errors import UsageError

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs", hint="sysu30k-bench compare RUN OTHER ...")
    for run in runs:
        judge_run(run)
    with loading("scipy", "scipy.stats"):
        from sysu30k_bench.results.compare import compare
        from sysu30k_bench.results.ranked_run import read_runs

    twice = [run for place, run in enumerate(runs) if run.resolve() in {other.resolve() for other in runs[:place]}]
    if twice:
        stderr_console().print(f"{twice[0]} is named twice: a run is compared with itself", markup=False)
    found = compare(read_runs(runs))
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    _print(found)


def _print(found: Comparison) -> None:
    console = stdout_console()
    rows = [(run.name, f"{run.rank1 * 100:.2f}", f"{run.ap_standard * 100:.2f}") for run in found.runs]
    print_table(_COLUMNS, rows)
    for pair in found.pairs:
        console.print("\n" + "\n".join(_pair(pair, several=len(found.pairs) > 1)), markup=False, soft_wrap=True)
    least = f"with fewer than {found.least_of_n} flipped queries no difference is significant"
    console.print(f"\n{count(found.n, 'query', 'queries')}; {least}", markup=False)
    shown = [(share, value) for share, value in found.resolution.items() if value is not None]
    parts = [f"{value * 100:.1f} where {float(share):.0%} differ" for share, value in shown]
    if parts:
        said = f"points of rank-1 that the test finds with 80 % power: {', '.join(parts)}"
        console.print(said, markup=False, soft_wrap=True)


def _reachable(pair: Pair) -> str:
    differing = len(pair.only_first) + len(pair.only_second)
    if pair.least_difference > differing:
        return "so few flipped queries cannot reach 0.05"
    return f"a net {pair.least_difference} would reach 0.05"


def _pair(pair: Pair, *, several: bool) -> list[str]:
    if pair.same_ranks:
        return [f"{pair.first} -> {pair.second}", "  equal: every query has the same ranks in both"]
    holm = f", {pair.p_holm:.3g} after Holm" if several else ""
    rank1, ap = (
        f"{one.value * 100:+.2f} points ({one.low * 100:+.2f} to {one.high * 100:+.2f})"
        for one in (pair.rank1, pair.ap_standard)
    )
    lines = [
        f"{pair.first} -> {pair.second}",
        f"  rank-1 {rank1}; AP {ap}",
        f"  right at rank 1 in the first alone: {len(pair.only_first)}, in the second alone: {len(pair.only_second)}; "
        f"exact McNemar p = {pair.p:.3g}{holm}; {_reachable(pair)}",
    ]
    for name, one in pair.open_set.items():
        change = f"{one.value * 100:+.2f} points ({one.low * 100:+.2f} to {one.high * 100:+.2f})"
        lines.append(f"  {METRICS[name].title} {change}; less is better")
    if pair.finds is not None:
        lines.append(f"  where so many differ, the test finds {pair.finds * 100:.1f} points with 80 % power")
    for said, keys in (("lost", pair.only_first), ("won", pair.only_second)):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            lines.append(f"  {said}: {', '.join(keys[:_SHOWN])}{more}")
    return lines
