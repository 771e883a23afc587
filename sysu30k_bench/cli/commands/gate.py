"""`gate`: fails a build when a method regresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, terminal_progress
from sysu30k_bench.cli.judge import judge, judge_checkpoint, judge_run
from sysu30k_bench.cli.options import device_option, json_option
from sysu30k_bench.cli.paths import TypedName, TypedPath
from sysu30k_bench.cli.values import Fraction
from sysu30k_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from sysu30k_bench.gate.gate import Verdict
    from sysu30k_bench.results.record import EvaluationRecord


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


_EXAMPLES = (
    ("fail a build that may have lost more than a point", "gate runs/new --baseline runs/released --max-drop 1pp"),
    ("a checkpoint, among a part of the distractors", "gate net.pth --fast --data ROOT --baseline runs/released"),
)


@click.command("gate", cls=Command, examples=_EXAMPLES)
@click.argument("run", type=TypedPath())
@click.option("--baseline", type=TypedPath(), required=True, show_envvar=True, help="The run to compare with.")
@click.option(
    "--max-drop", type=Points(), default="1pp", show_default=True, show_envvar=True, help="Largest drop allowed."
)
@click.option(
    "--alpha",
    type=Fraction(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    show_envvar=True,
    help="Probability of a false alarm that is accepted.",
)
@click.option(
    "--metric",
    type=click.Choice(list(METRICS)),
    default="rank1",
    show_default=True,
    show_envvar=True,
    help="What must not fall.",
)
@click.option("--markdown", type=TypedPath(), show_envvar=True, help="Also write the verdict as Markdown.")
@click.option("--junit", type=TypedPath(), show_envvar=True, help="Also write the verdict as JUnit XML.")
@click.option(
    "--fast",
    is_flag=True,
    show_envvar=True,
    help="Search a fixed part of the distractors; predicts rank-1 in the whole gallery. RUN may be a checkpoint.",
)
@click.option(
    "--distractors",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    show_envvar=True,
    help="With --fast: number of distractors, if RUN is a checkpoint.",
)
@click.option("--data", type=TypedPath(), show_envvar=True, help="With --fast: the data set's folder.")
@click.option(
    "--adapter",
    type=TypedName(),
    metavar="NAME|FILE.toml",
    show_envvar=True,
    help="With --fast: the checkpoint's card.",
)
@click.option("--model", metavar="SOURCE:NAME", show_envvar=True, help="With --fast: the checkpoint's network.")
@device_option
@json_option
def gate_command(
    run: Path,
    baseline: Path,
    max_drop: float,
    alpha: float,
    metric: str,
    markdown: Path | None,
    junit: Path | None,
    fast: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Exit with 1 unless RUN is shown to be no worse than the baseline by more than --max-drop.

    Paired by query: one-sided bound at level --alpha, the probability of passing a run that is worse by exactly that
    much.
    """
    _check_options(run, fast=fast)
    judge_run(baseline)
    judge(options)
    if fast and run.is_file():
        judge_checkpoint(run)
    else:
        judge_run(run)
    with loading():
        from sysu30k_bench.files import write_atomically
        from sysu30k_bench.gate.gate import gate
        from sysu30k_bench.gate.verdict_forms import junit as as_junit
        from sysu30k_bench.gate.verdict_forms import markdown as as_markdown
        from sysu30k_bench.results.ranked_run import read_runs

    if fast:
        verdict = _fast(run, baseline, {"max_drop": max_drop, "alpha": alpha, "metric": metric}, options)
        if verdict is None:
            return
    else:
        verdict = gate(*read_runs([run, baseline]), max_drop=max_drop, alpha=alpha, metric=metric)
    if markdown is not None:
        write_atomically(markdown, as_markdown(verdict).encode())
    if junit is not None:
        write_atomically(junit, as_junit(verdict).encode())
    click.echo(verdict.model_dump_json(indent=1) if as_json else f"{verdict.outcome}: {verdict.reason}")
    if verdict.predicted is not None and not as_json:
        click.echo(verdict.predicted.summary)
    if not verdict.passed:
        raise click.exceptions.Exit(1)


def _check_options(run: Path, *, fast: bool) -> None:
    """Refuses what would be passed over in silence."""
    context = click.get_current_context()
    given = [
        f"--{name}"
        for name in ("data", "adapter", "model", "distractors", "device")
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    is_ranking = run.suffix == ".csv"
    if not fast and run.is_file() and not is_ranking:
        raise click.UsageError(f"{run} is no run folder and no ranking.csv; --fast evaluates a checkpoint")
    if not fast and given:
        raise click.UsageError(f"{', '.join(given)}: for --fast")
    if fast and is_ranking:
        raise click.UsageError("--fast takes a run folder or a checkpoint: a ranking alone has no images")
    of_checkpoint = [name for name in given if name != "--device"]
    if fast and run.is_dir() and of_checkpoint:
        raise click.UsageError(f"{', '.join(of_checkpoint)}: {run} is evaluated already")


def _fast(run: Path, baseline: Path, rule: dict[str, Any], options: dict[str, Any]) -> Verdict | None:
    """Evaluates RUN if it is a checkpoint; None in every process of `torchrun` but the first."""
    with loading():
        from sysu30k_bench.evaluation.evaluate import evaluate
        from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest, SearchRequest
        from sysu30k_bench.gate.fast_gate import check_baseline, fast_gate
        from sysu30k_bench.processes import Ranks

    ranks = Ranks.from_environment()
    search = SearchRequest(device=options["device"])
    with terminal_progress(quiet=not ranks.first) as progress:
        held = check_baseline(baseline)
        if run.is_file():
            export = ExportRequest(run, dataset=held.data.dataset, split=held.data.split, **options)
            record, folder = evaluate(EvalRequest(export, search), progress, ranks)
            if record is None:
                return None
            run = folder.path
            progress.say(f"run folder: {run}")
            if (record.model.feature, record.model.flip) != (held.model.feature, held.model.flip):
                progress.say(f"feature and flip: {_embedded(record)} here, {_embedded(held)} in the baseline")
        elif not ranks.first:
            return None
        return fast_gate(run, baseline, **rule, search=search, progress=progress)


def _embedded(record: EvaluationRecord) -> str:
    return f"{record.model.feature}, {record.model.flip}"
