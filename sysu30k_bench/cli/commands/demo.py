"""`demo`: the whole job in a minute, with nothing to download."""

from __future__ import annotations

import io
from pathlib import Path

import click

from sysu30k_bench.cli.console import loading, stderr_console, terminal_progress
from sysu30k_bench.cli.judge import judge_output
from sysu30k_bench.cli.paths import TypedPath


@click.command()
@click.option(
    "--output",
    type=TypedPath(),
    default=Path("demo"),
    show_default=True,
    show_envvar=True,
    help="Folder to work in.",
)
@click.option(
    "--identities", type=click.IntRange(1, 28_310), default=300, show_default=True, show_envvar=True, help="Queries."
)
@click.option(
    "--distractors",
    type=click.IntRange(0, 1_000_000),
    default=3000,
    show_default=True,
    show_envvar=True,
    help="Images in 0000others.",
)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "normal", "hard"]),
    default="normal",
    show_default=True,
    show_envvar=True,
    help="Of the drawn twin.",
)
def demo(output: Path, identities: int, distractors: int, difficulty: str) -> None:
    """Draw a synthetic twin of the test set, evaluate a training-free model on it, and print the table.

    Nothing but the pictures is made up: the checkpoint goes through the same path as yours.
    """
    judge_output(output)
    with loading():
        import torch

        from sysu30k_bench.cli.panel import print_result
        from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
        from sysu30k_bench.evaluation import EvalRequest, evaluate
        from sysu30k_bench.evaluation.request import ExportRequest
        from sysu30k_bench.files import write_atomically
        from sysu30k_bench.models.networks.colour_stripes import ColourStripes

    root, checkpoint = output / "sysu30k-twin", output / "colour_stripes.pth"
    with terminal_progress() as progress:
        write_twin(root, TwinRequest(identities, distractors, difficulty), progress)
        content = io.BytesIO()
        torch.save(ColourStripes().state_dict(), content)
        write_atomically(checkpoint, content.getvalue())
        stderr_console().print(
            f"\n$ sysu30k-bench eval {checkpoint} --data {root} --output {output / 'run'}\n",
            markup=False,
            soft_wrap=True,
        )
        request = EvalRequest(ExportRequest(checkpoint, root, output=output / "run"))
        record, folder = evaluate(request, progress)
    if record is not None:
        print_result(record, folder.path)
