"""`score`: the third step of the main job, and the recomputation of any ranking."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.judge import judge_run
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath


@click.command("score")
@click.argument("run", type=TypedPath())
@json_option
def score(run: Path, as_json: bool) -> None:
    """Compute every number from the ranks of RUN, a run folder or a ranking.csv; no embedding is read."""
    judge_run(run)
    with loading():
        from sysu30k_bench.cli.panel import print_metrics, print_result
        from sysu30k_bench.evaluation.run_folder import RunFolder
        from sysu30k_bench.evaluation.score_step import score_ranking, score_step
        from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES
        from sysu30k_bench.metrics.summary import summarise
        from sysu30k_bench.results.build import metrics_of, ties_of

    if run.is_dir() and (run / EXPORT_NOTES).is_file():
        folder = RunFolder(run)
        with folder.locked():
            record = score_step(folder)
        if as_json:
            click.echo(record.model_dump_json(indent=1))
        else:
            print_result(record, run)
        return
    summary = summarise(score_ranking(run))
    metrics, ties = metrics_of(summary), ties_of(summary)
    if as_json:
        click.echo(f'{{"metrics": {metrics.model_dump_json()}, "ties": {ties.model_dump_json()}}}')
    else:
        print_metrics(metrics)
