"""What the monitors cost: a training step with and without a look at the features every 50 steps.

`make bench-ssl-monitors`; a step of SimCLR, forward, backward and optimiser, and a look timed by itself.
"""

from __future__ import annotations

import time

import click
import numpy as np
import torch

from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.training.ssl.backbone import build_backbone
from sysu30k_bench.training.ssl.methods.build import build_method
from sysu30k_bench.training.ssl.monitor import look
from sysu30k_bench.training.ssl.optimizers import build_ssl_optimizer
from sysu30k_bench.training.ssl.recipe import load_ssl_recipe


def seconds(network: str, batch: int, height: int, width: int, rounds: int) -> tuple[float, float]:
    """Returns the median seconds of a step and of a look."""
    recipe = load_ssl_recipe("simclr_tiny", {"network.name": network})
    backbone, features = build_backbone(recipe.network)
    method = build_method(recipe, backbone, features).train()
    optimizer = build_ssl_optimizer(method, recipe.optimizer)
    views = torch.randn(2, batch, 3, height, width)
    steps, looks = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        optimizer.zero_grad()
        method(views[0], views[1]).backward()
        optimizer.step()
        between = time.perf_counter()
        assert method.features is not None
        look(method.features)
        steps.append(between - began)
        looks.append(time.perf_counter() - between)
    return float(np.median(steps)), float(np.median(looks))


@click.command()
@click.option("--rounds", default=15, show_default=True)
def main(rounds: int) -> None:
    """Time both, and print the share at the default interval."""
    torch.set_num_threads(1)
    every = load_ssl_recipe("simclr").run.monitor_every
    click.echo(f"{this_machine(torch.device('cpu')).processor}, one thread")
    click.echo("\n| network | batch | step, ms | look, ms | share of the time, every 50 steps |")
    click.echo("| --- | --- | --- | --- | --- |")
    for network, batch, height, width, count in (("tiny", 64, 64, 32, rounds), ("resnet18", 64, 128, 64, rounds // 5)):
        step, one = seconds(network, batch, height, width, max(count, 3))
        share = one / every / step
        click.echo(f"| {network} | {batch} | {step * 1e3:.0f} | {one * 1e3:.1f} | {share * 100:.2f} % |")
        if share > 0.02:
            raise click.ClickException("the monitors take more than 2 % of the time")


if __name__ == "__main__":
    main()
