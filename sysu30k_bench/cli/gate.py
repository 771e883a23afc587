"""`gate`: fails a build when a method regresses."""

from __future__ import annotations

import re
from pathlib import Path

import click

from sysu30k_bench.cli.options import json_option


class Points(click.ParamType[float]):
    """A drop such as `1pp`, `0.5 %` or `0.01`."""

    name = "points"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(pp|%|)\s*", str(value))
        if match is None:
            self.fail(f"{value!r} is not a drop; write 1pp, or 0.01", param, ctx)
        drop = float(match[1]) / (100 if match[2] else 1)
        if drop >= 1:
            self.fail(f"{value!r} is a whole: write {match[1]}pp for points", param, ctx)
        return drop


@click.command("gate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--baseline", type=click.Path(path_type=Path), required=True, show_envvar=True, help="The run to hold it against."
)
@click.option(
    "--max-drop", type=Points(), default="1pp", show_default=True, show_envvar=True, help="Largest drop allowed."
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--metric",
    type=click.Choice(["rank1", "rank5", "rank10", "rank20", "ap_standard", "ap_trapezoid", "minp"]),
    default="rank1",
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--markdown", type=click.Path(path_type=Path), show_envvar=True, help="Write the verdict as Markdown, too."
)
@click.option("--junit", type=click.Path(path_type=Path), show_envvar=True, help="Write the verdict as JUnit XML, too.")
@json_option
def gate_command(
    run: Path,
    baseline: Path,
    max_drop: float,
    alpha: float,
    metric: str,
    markdown: Path | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Leave with 1 unless RUN is shown to be no worse than the baseline by more than --max-drop.

    Paired by query: one-sided bound at level --alpha, which is the chance of passing a run that is worse by just that
    much.
    """
    from sysu30k_bench.files import write_atomically
    from sysu30k_bench.results.gate import gate
    from sysu30k_bench.results.ranked_run import read_run
    from sysu30k_bench.results.verdict_forms import junit as as_junit
    from sysu30k_bench.results.verdict_forms import markdown as as_markdown

    verdict = gate(read_run(run), read_run(baseline), max_drop=max_drop, alpha=alpha, metric=metric)
    if markdown is not None:
        write_atomically(markdown, as_markdown(verdict).encode())
    if junit is not None:
        write_atomically(junit, as_junit(verdict).encode())
    click.echo(verdict.model_dump_json(indent=1) if as_json else f"{verdict.outcome}: {verdict.reason}")
    if not verdict.passed:
        raise click.exceptions.Exit(1)
