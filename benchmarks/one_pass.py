"""Three checkpoints in one pass against three passes, over the same drawn images.

Both ways make the same embeddings (a test holds them to equal bytes). They are interleaved round by round, and the
order changes every round; medians. One pass saves reading and decoding, so its gain is the share of those: large for a
light network and for large images, small for a heavy network on a CPU.

Run with `make bench-one-pass`.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import torch
from torchvision.models import resnet18

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.one_pass import evaluate_together
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.models.networks.colour_stripes import ColourStripes
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent


def weights(folder: Path, network: str, number: int) -> Path:
    """A file of random weights.

    Args:
        folder: Where to write it.
        network: `resnet18`, or `stripes` for a network that costs next to nothing.
        number: Seed, and part of its name.
    """
    torch.manual_seed(number)
    state = resnet18(weights=None).state_dict() if network == "resnet18" else ColourStripes().state_dict()
    path = folder / f"{network}_{number}.pth"
    torch.save(
        {name: value + 1e-3 * number if value.is_floating_point() else value for name, value in state.items()}, path
    )
    return path


def timed(work: Callable[[], object], output: Path) -> float:
    """Seconds of work that writes into a folder, which is removed."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    shutil.rmtree(output)
    return seconds


def one_by_one(request: EvalRequest, checkpoints: list[Path], output: Path) -> None:
    """Three passes."""
    for path in checkpoints:
        export = replace(request.export, checkpoint=path, output=output / path.stem)
        evaluate(replace(request, export=export), Silent(), Ranks())


@click.command()
@click.option("--identities", default=60, show_default=True)
@click.option("--distractors", default=280, show_default=True)
@click.option("--checkpoints", "count", default=3, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--workers", default=0, show_default=True, help="Decoding processes.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--network", "networks", multiple=True, default=["stripes", "resnet18"], show_default=True)
def main(
    identities: int, distractors: int, count: int, rounds: int, workers: int, device: str, networks: tuple[str, ...]
) -> None:
    """Times both ways and prints a table."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        root, output = Path(folder) / "twin", Path(folder) / "runs"
        write_twin(root, TwinRequest(identities=identities, distractors=distractors), Silent())
        for network in networks:
            paths = [weights(Path(folder), network, number) for number in range(count)]
            adapter = {"model": "torchvision:resnet18"} if network == "resnet18" else {}
            export = ExportRequest(
                paths[0], data=root, output=output, workers=workers, device=device, backend="eager", **adapter
            )
            request = EvalRequest(export)
            ways: dict[str, Callable[[], object]] = {
                "one pass": partial(evaluate_together, request, paths, Silent()),
                f"{count} passes": partial(one_by_one, request, paths, output),
            }
            for way in ways.values():
                timed(way, output)
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(rounds):
                for name in list(ways) if turn % 2 else list(ways)[::-1]:
                    seconds[name].append(timed(ways[name], output))
            one, several = seconds.values()
            ratios = sorted(b / a for a, b in zip(one, several, strict=True))
            click.echo(f"{network}: {statistics.median(ratios):.2f}", err=True)
            lines.append(
                f"| {network} | {statistics.median(several):.2f} | {statistics.median(one):.2f} | "
                f"{statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
            )
    machine = this_machine(torch.device(device))
    click.echo(
        f"{2 * identities + distractors} images, {count} checkpoints, {rounds} rounds, {workers} decoding processes"
    )
    click.echo(f"{machine.processor}, {machine.device}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    click.echo(
        f"| network | {count} passes, s | one pass, s | gain, median | least to most |\n| --- | --- | --- | --- | --- |"
    )
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
