"""A training step beside the bare forward and backward of its network; the losses at 28,310 classes beside naive forms.

`make bench-train`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from torch.nn import functional

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.bag_labels import BagLabels
from sysu30k_bench.training.fabric import TrainRequest, make_fabric
from sysu30k_bench.training.losses.pairwise import pairwise_released
from sysu30k_bench.training.losses.triplet import triplet_released
from sysu30k_bench.training.losses.unary import balanced_unary, graph_unary
from sysu30k_bench.training.networks import build_network
from sysu30k_bench.training.recipe import load_recipe
from sysu30k_bench.training.table import open_table
from sysu30k_bench.training.trainer import Trainer

CLASSES, BATCH, BAG = 28_310, 180, 15


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median time of a piece of work, after one warm-up."""
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


class Clock(Silent):
    """Notes when each batch was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, count: int) -> None:  # noqa: ARG002
        """See `Progress`."""
        self.times.append(time.perf_counter())


def step(network: str, rounds: int) -> tuple[float, float]:
    """Images per second of the bare network and of a whole training step, with loading and augmentation."""
    size = {"resnet50": ("256", "128"), "tiny": ("64", "32")}[network]
    settings = {
        "network.name": network, "input.height": size[0], "input.width": size[1], "run.validation_identities": "0",
        "bags.identities_per_batch": "8", "run.epochs": "100", "input.padding": "0",
    }  # fmt: skip
    recipe = load_recipe("tiny", settings)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "twin"
        write_twin(root, TwinRequest(2, 2, training=24, training_images=6), Silent())
        table = open_table(root, recipe, None, Silent())
        images = len(table.plan.batch(0, 0).rows)
        bare = build_network(network, table.classes)
        batch = torch.randn(images, 3, int(size[0]), int(size[1]))

        def forward_backward() -> None:
            bare.zero_grad()
            bare(batch).logits[0].sum().backward()

        alone = seconds(forward_backward, rounds)
        request = TrainRequest(Path(name) / "run", "cpu", workers=1, stop_after=rounds + 3)
        clock = Clock()
        Trainer(recipe, table, request, make_fabric(request, recipe.run.precision), clock).fit()
    return images / alone, images / statistics.median(np.diff(clock.times)[2:].tolist())


def losses(rounds: int) -> list[tuple[str, float, float]]:
    """Seconds of each loss with its gradient, ours and as a dense formulation."""
    bags = [[number * 20 + offset for offset in range(5)] for number in range(BATCH // BAG)]
    labels = BagLabels.of(bags, torch.arange(BATCH) // BAG)
    dense = torch.zeros(BATCH, CLASSES)
    for row in range(BATCH):
        dense[row, bags[row // BAG]] = 0.2
    logits = torch.randn(BATCH, CLASSES, requires_grad=True)
    features = torch.randn(BATCH, 2048, requires_grad=True)

    def grown(make: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def run() -> None:
            logits.grad = features.grad = None
            make().backward()

        return run

    def dense_unary() -> torch.Tensor:
        chosen = (dense * functional.softmax(logits, 1)).argmax(1)
        return functional.cross_entropy(logits, chosen)

    def masked_pairwise() -> torch.Tensor:
        """With a mask of images x images x classes, a slice of it at a time: whole it would have 3.7 GB."""
        probability = functional.softmax(logits, 1)
        chosen = (dense * probability).argmax(1)
        total = torch.zeros(())
        for i in range(BATCH):
            affinity = torch.exp(-(features[i] - features).square().sum(1))
            mask = (chosen[i] != chosen)[:, None].float().expand(-1, CLASSES)
            total = total - (affinity[:, None] * probability[i] * probability * mask).sum()
        return total / BATCH**2

    def dense_triplet() -> torch.Tensor:
        distances = torch.cdist(features, features)
        sharing = dense @ dense.T > 0
        terms = [torch.median(distances[i][sharing[i]]) - distances[i][~sharing[i]].min() + 1.2 for i in range(BATCH)]
        return torch.stack(terms).clamp_min(0).mean()

    return [
        ("unary", seconds(grown(lambda: graph_unary(logits, labels)[0]), rounds), seconds(grown(dense_unary), rounds)),
        (
            "pairwise",
            seconds(grown(lambda: pairwise_released(logits, features, graph_unary(logits, labels)[1])), rounds),
            seconds(grown(masked_pairwise), 1),
        ),
        (
            "triplet",
            seconds(grown(lambda: triplet_released(features, labels)), rounds),
            seconds(grown(dense_triplet), rounds),
        ),
        ("balanced", seconds(grown(lambda: balanced_unary(logits, labels)[0]), rounds), float("nan")),
    ]


@click.command()
@click.option("--rounds", default=5, show_default=True)
def main(rounds: int) -> None:
    """Prints both tables."""
    click.echo(f"{this_machine(torch.device('cpu')).processor}, {torch.get_num_threads()} threads")
    click.echo("\n| network | bare forward and backward, images/s | training step, images/s | share |")
    click.echo("| --- | --- | --- | --- |")
    for network in ("resnet50", "tiny"):
        bare, whole = step(network, rounds if network == "resnet50" else 10 * rounds)
        click.echo(f"| {network} | {bare:,.1f} | {whole:,.1f} | {whole / bare:.2f} |")
    click.echo(
        f"\n{BATCH} images, {CLASSES:,} classes, with gradients\n\n| loss | ours, ms | dense, ms |\n| --- | --- | --- |"
    )
    for name, ours, dense in losses(rounds):
        click.echo(f"| {name} | {ours * 1e3:,.0f} | {'' if dense != dense else f'{dense * 1e3:,.0f}'} |")


if __name__ == "__main__":
    main()
