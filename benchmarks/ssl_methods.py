"""What self-supervised methods learn on drawn people: against random weights, three seeds each, with intervals.

`make experiment-ssl`: the recipes `*_tiny`, whose loss curves are those of lightly's own example loops to rounding
(tests/training/ssl/test_ssl_trainer.py).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.dgl import interval
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking
from sysu30k_bench.training.fabric import TrainRequest
from sysu30k_bench.training.ssl.recipe import METHODS, load_ssl_recipe
from sysu30k_bench.training.ssl.run import run_ssl_recipe

SEEDS = (0, 1, 2)
RANDOM = "random weights"


def ranks_of(method: str, seed: int, root: Path, folder: Path, epochs: int) -> np.ndarray:
    """Trains and tests; returns the rank of every query's match."""
    place = folder / f"{method}-{seed}".replace(" ", "_")
    if method == RANDOM:
        place.mkdir(parents=True)
        torch.manual_seed(seed)
        torch.save(TinyNet().state_dict(), place / "last.pt")
    else:
        changes = {"run.epochs": str(epochs), "run.seed": str(seed), "run.save_every": "0"}
        run_ssl_recipe(load_ssl_recipe(f"{method}_tiny", changes), root, None, TrainRequest(place, "cpu"), Silent())
    request = ExportRequest(place / "last.pt", lists=open_test_set(root), output=place / "test", workers=0)
    evaluate(EvalRequest(request), Silent(), Ranks())
    ranks: np.ndarray = read_ranking(place / "test" / RANKING_NAME).matched["rank_high"].to_numpy()
    return ranks


@click.command()
@click.option("--people", default=100, show_default=True, help="To train on, eight images each.")
@click.option("--queries", default=300, show_default=True)
@click.option("--distractors", default=700, show_default=True)
@click.option("--epochs", default=20, show_default=True)
@click.option("--methods", default="simclr,moco_v2,byol,triplet", show_default=True)
def main(people: int, queries: int, distractors: int, epochs: int, methods: str) -> None:
    """Draw, train, test, and print a table."""
    began = time.perf_counter()
    torch.set_num_threads(1)
    chosen = [RANDOM, *(name for name in METHODS if name in methods.split(","))]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "twin"
        write_twin(root, TwinRequest(queries, distractors, training=people, training_images=8), Silent())
        found = {
            method: np.stack([ranks_of(method, seed, root, Path(name) / "runs", epochs) for seed in SEEDS])
            for method in chosen
        }
    click.echo(
        f"{people} people x 8 images, {epochs} epochs; {queries} queries, gallery {queries + distractors}; "
        f"{len(SEEDS)} seeds; {this_machine(torch.device('cpu')).processor}"
    )
    click.echo("\n| method | rank-1 % | 95 % interval | mean log rank | less random | 95 % interval |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for method, ranks in found.items():
        hits, logs = (ranks == 1).astype(float), np.log(ranks)
        low, high = interval(hits)
        gain = ["", ""]
        if method != RANDOM:
            difference = logs - np.log(found[RANDOM])
            ends = interval(difference)
            gain = [f"{difference.mean():+.2f}", f"{ends[0]:+.2f} to {ends[1]:+.2f}"]
        click.echo(
            f"| {method} | {hits.mean() * 100:.1f} | {low * 100:.1f} to {high * 100:.1f} | {logs.mean():.2f} "
            f"| {gain[0]} | {gain[1]} |"
        )
    click.echo(f"\n{(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
