"""`eval`: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, terminal_progress
from sysu30k_bench.cli.judge import judge, judge_several
from sysu30k_bench.cli.options import (
    all_splits_option,
    control_option,
    dry_run_option,
    export_options,
    json_option,
    search_options,
)
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.values import ALL_SPLITS

if TYPE_CHECKING:
    from sysu30k_bench.evaluation.request import EvalRequest
    from sysu30k_bench.processes import Ranks

_EXAMPLES = (
    ("images, disk, memory and time; nothing is written", "eval net_6.pth --data SYSU-30k-released --dry-run"),
    ("the whole job; the same command resumes after an interruption", "eval net_6.pth --data SYSU-30k-released"),
    ("a card of your own, on one GPU", "eval model.pth --data ROOT --adapter mine.toml --device cuda:0"),
    ("a network without a card", "eval model.pth --data ROOT --model torchvision:resnet50"),
    ("a quick look, never official", "eval model.pth --data ROOT --limit 100"),
    ("several checkpoints in one pass", "eval epoch_1.pth epoch_2.pth epoch_3.pth --data ROOT"),
    ("embeddings that were made elsewhere", "eval features.h5 --data ROOT"),
)


@click.command("eval", cls=Command, examples=_EXAMPLES, grouped=True)
@export_options
@click.argument("others", nargs=-1, metavar="[CHECKPOINT]...", type=TypedPath())
@all_splits_option
@search_options
@control_option
@dry_run_option
@json_option
def evaluate_command(
    control: str | None,
    dry_run: bool,
    as_json: bool,
    split: int | str | None,
    others: tuple[Path, ...],
    **options: Any,  # noqa: ANN401
) -> None:
    """Evaluate CHECKPOINT on the test set below --data: embed, search exactly, print and record the metrics.

    The same command resumes an interrupted run. Several checkpoints are evaluated in one pass: each image is decoded
    once for all of them, and each has its own run folder (below --output if given).
    """
    checkpoints = (options["checkpoint"], *others)
    if others:
        judge_several(checkpoints, dry_run=dry_run)
        judge({**options, "checkpoint": None})
    else:
        judge(options)
    with loading():
        from sysu30k_bench.cli.panel import print_result, print_splits
        from sysu30k_bench.cli.requests import eval_request
        from sysu30k_bench.evaluation.evaluate import Evaluated
        from sysu30k_bench.evaluation.splits import EvaluatedSplits, SplitSummary, evaluate_request
        from sysu30k_bench.processes import Ranks

    every_split = split == ALL_SPLITS
    options["split"] = None if every_split else split
    request = replace(eval_request(options, control=control == "random"), every_split=every_split)
    if others:
        from sysu30k_bench.cli.one_pass import evaluate_several

        evaluate_several(request, checkpoints, as_json=as_json)
        return
    ranks = Ranks.from_environment()
    if dry_run:
        _estimate(request, ranks, as_json=as_json)
        return
    with terminal_progress(quiet=not ranks.first) as progress:
        done = evaluate_request(request, progress, ranks)
    outcome = done.summary if isinstance(done, EvaluatedSplits) else done.record
    if outcome is None:
        return
    if as_json:
        click.echo(outcome.model_dump_json(indent=1))
    elif isinstance(outcome, SplitSummary):
        print_splits(outcome)
    else:
        print_result(outcome, done.folder.path if isinstance(done, Evaluated) else done.folder)


def _estimate(request: EvalRequest, ranks: Ranks, *, as_json: bool) -> None:
    from sysu30k_bench.cli.estimate import print_plan
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.evaluation.embedding.import_step import PreparedImport
    from sysu30k_bench.evaluation.evaluate import prepare
    from sysu30k_bench.evaluation.plan import plan

    if request.every_split:
        raise UsageError("--dry-run estimates one split", hint="name it: --split 1")
    with terminal_progress(quiet=not ranks.first) as progress:
        prepared = prepare(request.export, ranks, progress)
    if isinstance(prepared, PreparedImport):
        raise UsageError("a features file needs no estimate: there is nothing to embed", hint="omit --dry-run")
    if ranks.first:
        print_plan(plan(prepared, request.search, control=request.control), as_json=as_json)
