"""Does the graph help? Drawn people; random weights, weak baselines, DGL, strong supervision, three seeds each.

`make experiment-dgl`: one table of rank-1 and of how well pseudo-labels tell a bag's people apart, and one of what each
term adds. Two runs at a time, one thread each.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import torch

from sysu30k_bench.cpu_count import usable_processors
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.ranking import RANKING_NAME, read_ranking
from sysu30k_bench.training.fabric import TrainRequest
from sysu30k_bench.training.networks import build_network
from sysu30k_bench.training.recipe import load_recipe
from sysu30k_bench.training.run import run_recipe
from sysu30k_bench.training.state import export_net

SEEDS = (0, 1, 2)
NAIVE = {"loss.assignment": "bag", "loss.pairwise": "0", "loss.triplet": "0"}
UNARY = {"loss.pairwise": "0", "loss.triplet": "0"}
PAIRWISE = {"loss.triplet": "0"}
TRIPLET = {"loss.pairwise": "0"}
PAPER = {"loss.form": "paper"}
CMIL = {"loss.unary": "cmil", "loss.pairwise": "0", "loss.triplet": "0"}
MEDIAN = {"loss.positive": "median"}
RESAMPLES = 10_000


@dataclass(frozen=True)
class Job:
    """One run."""

    method: str
    bag: int
    seed: int
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """What it gave: a hit or miss for each query, and the share of images right within their bag."""

    job: Job
    hits: np.ndarray
    agreement: float
    seconds: float


def jobs(bags: tuple[int, ...], terms_at: int) -> list[Job]:
    """All runs: random weights, strong supervision, and each weak method for each size of bag."""

    def settings(bag: int, changes: dict[str, str]) -> tuple[tuple[str, str], ...]:
        size = {"bags.identities_per_bag": str(bag), "bags.identities_per_batch": str(16 // bag * bag)}
        return tuple({**size, **changes}.items())

    found = [Job("random weights", 1, seed, ()) for seed in SEEDS]
    found += [Job("strong supervision", 1, seed, settings(1, {})) for seed in SEEDS]
    for bag in bags:
        methods = {"bag label, no graph": NAIVE, "unary only": UNARY, "full DGL": MEDIAN, "CMIL": CMIL}
        if bag > 2:
            methods |= {"full DGL, positive by share": {}}
        if bag == terms_at:
            methods |= {"unary + pairwise": PAIRWISE, "unary + triplet": TRIPLET, "full, as in the paper": PAPER}
            methods |= {"full DGL, re-drawn bags": {"bags.redraw": "true"}}
            methods |= {"bag label, re-drawn bags": {**NAIVE, "bags.redraw": "true"}}
        found += [Job(name, bag, seed, settings(bag, changes)) for name, changes in methods.items() for seed in SEEDS]
    return found


def run(job: Job, root: Path, folder: Path, epochs: int) -> Outcome:
    """Trains and tests."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    place = folder / f"{job.method}-{job.bag}-{job.seed}".replace(" ", "_")
    agreement = float("nan")
    if job.method == "random weights":
        torch.manual_seed(job.seed)
        export_net(place / "last.pt", build_network("tiny", 2))
    else:
        fixed = {"run.validation_identities": "0", "run.epochs": str(epochs), "run.seed": str(job.seed)}
        fixed["optimizer.milestones"] = f"[{epochs * 3 // 4}]"
        recipe = load_recipe("tiny", {**fixed, **dict(job.settings)})
        told = run_recipe(recipe, root, None, TrainRequest(place, "cpu"), Silent())
        agreement = told["last_epoch"]["pseudo_label_agreement"] if told else agreement
    request = ExportRequest(place / "last.pt", lists=open_test_set(root), output=place / "test", workers=0)
    evaluate(EvalRequest(request), Silent(), Ranks())
    ranks = read_ranking(place / "test" / RANKING_NAME).matched["rank_high"].to_numpy()
    return Outcome(job, ranks == 1, agreement, time.perf_counter() - began)


def interval(hits: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over seeds and queries, by drawing seeds and queries anew; hits is (seeds, queries)."""
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, hits.shape[0], (RESAMPLES, hits.shape[0]))
    queries = rng.integers(0, hits.shape[1], (RESAMPLES, hits.shape[1]))
    weights = np.stack([np.bincount(drawn, minlength=hits.shape[1]) for drawn in queries]) / hits.shape[1]
    per_seed = weights @ hits.T
    means = np.take_along_axis(per_seed, seeds, axis=1).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@click.command()
@click.option("--identities", default=200, show_default=True, help="To train on.")
@click.option("--images", default=8, show_default=True, help="Of each.")
@click.option("--queries", default=300, show_default=True)
@click.option("--distractors", default=700, show_default=True)
@click.option("--epochs", default=30, show_default=True)
@click.option("--bags", default="2,3,5", show_default=True)
@click.option("--only", multiple=True, metavar="TEXT", help="Only methods whose name holds this; may be repeated.")
@click.option("--terms-at", default=2, show_default=True, help="Size of bag at which single terms are tried.")
def main(
    identities: int,
    images: int,
    queries: int,
    distractors: int,
    epochs: int,
    bags: str,
    only: tuple[str, ...],
    terms_at: int,
) -> None:
    """Draws, trains, tests, and prints a table."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "twin"
        write_twin(root, TwinRequest(queries, distractors, training=identities, training_images=images), Silent())
        every = jobs(tuple(int(bag) for bag in bags.split(",")), terms_at)
        all_jobs = [job for job in every if not only or any(text in job.method for text in only)]
        with ProcessPoolExecutor(usable_processors(), mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(run, job, root, Path(name) / "runs", epochs) for job in all_jobs]
            outcomes = [one.result() for one in waiting]
    click.echo(
        f"{identities} identities x {images} images, {epochs} epochs; test {queries} queries, "
        f"{queries + distractors} gallery; {len(SEEDS)} seeds; {this_machine(torch.device('cpu')).processor}"
    )
    click.echo("\n| people a bag | method | rank-1 % | 95 % interval | told apart % | less naive | 95 % interval |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    by_method: dict[tuple[int, str], list[Outcome]] = {}
    for outcome in outcomes:
        by_method.setdefault((outcome.job.bag, outcome.job.method), []).append(outcome)
    for (bag, method), runs in by_method.items():
        hits = np.stack([one.hits for one in runs]).astype(float)
        low, high = interval(hits)
        naive = by_method.get((bag, "bag label, re-drawn bags" if "re-drawn" in method else "bag label, no graph"))
        less = ["", ""]
        if naive is not None and "bag label" not in method:
            difference = hits - np.stack([one.hits for one in naive])
            ends = [100 * end for end in interval(difference)]
            less = [f"{difference.mean() * 100:+.1f}", f"{ends[0]:+.1f} to {ends[1]:+.1f}"]
        agreement = np.mean([one.agreement for one in runs])
        told = "" if np.isnan(agreement) else f"{agreement * 100:.1f}"
        click.echo(
            f"| {bag} | {method} | {hits.mean() * 100:.1f} | {low * 100:.1f} to {high * 100:.1f} | {told} "
            f"| {less[0]} | {less[1]} |"
        )
    click.echo(f"\n{(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
