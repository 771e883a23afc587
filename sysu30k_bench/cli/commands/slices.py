"""`slices`: a metric by parts of the queries."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stdout_console
from sysu30k_bench.cli.judge import judge_data, judge_run
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.metrics.catalogue import METRICS

_COLUMNS = (
    Column("slice", "name"),
    Column("n", "number"),
    Column("%", "number"),
    Column("95 % interval", "number", goes=1),
    Column("less the others", "number", goes=2),
    Column("p (Holm)", "number"),
)
_EXAMPLES = (
    ("by a column of a table of your own", "slices runs/new --by occlusion.csv:level"),
    ("by the sharpness of the query images", "slices runs/new --by sharpness --metric fnir_at_fpir10"),
)


@click.command("slices", cls=Command, examples=_EXAMPLES)
@click.argument("run", type=TypedPath())
@click.option(
    "--by",
    required=True,
    metavar="FILE.csv:COLUMN|camera|size|sharpness|brightness",
    show_envvar=True,
    help="A column of a table with the queries' keys (its column key, query, image or name, or the first), or a "
    "property of the run's images.",
)
@click.option(
    "--metric",
    type=click.Choice(list(METRICS)),
    default="rank1",
    show_default=True,
    show_envvar=True,
    help="Per slice.",
)
@click.option(
    "--bins",
    type=click.IntRange(2, 20),
    default=4,
    show_default=True,
    show_envvar=True,
    help="Bins for numbers, each with about the same number of queries.",
)
@click.option("--data", type=TypedPath(), show_envvar=True, help="Folder or archive of the images.")
@json_option
def slices_command(run: Path, by: str, metric: str, bins: int, data: Path | None, as_json: bool) -> None:
    """Show a metric of RUN by parts of its queries, and which parts differ significantly from the others.

    Nothing is written.
    """
    judge_run(run)
    if data is not None:
        judge_data(data)
    with loading():
        from sysu30k_bench.report.query_columns import query_column
        from sysu30k_bench.results.ranked_run import read_run
        from sysu30k_bench.results.slices import in_bins, slices

    ranked = read_run(run)
    folder = run if run.is_dir() else run.parent
    found = slices(ranked, in_bins(query_column(folder, ranked, by, data), bins), metric)
    if as_json:
        values = {"by": by, "metric": metric, "slices": [one.model_dump(mode="json") for one in found]}
        click.echo(json.dumps(values, indent=1))
        return
    rows = []
    for one in found:
        interval = f"{one.low * 100:.2f} to {one.high * 100:.2f}"
        change = "" if one.difference is None else f"{one.difference * 100:+.2f}"
        p = "" if one.p_holm is None else f"{one.p_holm:.3g}"
        rows.append((one.label, f"{one.n:,}", f"{one.value * 100:.2f}", interval, change, p))
    print_table(_COLUMNS, rows, title=f"{METRICS[metric].title} by {by}")
    apart = [one.label for one in found if one.p_holm is not None and one.p_holm < 0.05]
    said = f"significantly different from the others: {', '.join(apart)}" if apart else "no slice differs significantly"
    stdout_console().print(f"{said} (5 %, after Holm's correction over the slices)", markup=False, soft_wrap=True)
