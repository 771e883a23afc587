"""Exact search beside its peers: seconds, peak memory, and how many queries each gets right.

Every contestant runs in a process of its own, in turn, over the same vectors; medians over the rounds. Ranks and top-50
lists are compared with float64 matrix products. OPENBLAS_CORETYPE is set for all of them, since FAISS brings an older
OpenBLAS that takes its slowest kernel on processors that it does not know.

Run with `make bench-search`; `make bench-search-full` takes the full gallery.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.search_data import KINDS, draw
from benchmarks.search_peers import K, contestants
from sysu30k_bench.evaluation.environment import this_machine

SLOW = ("usearch exact", "authors' loop", "numpy argsort")


def reference(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and top-50 positions by float64 products, ties within 1e-12 by gallery position."""
    wide = query.astype(np.float64)
    matches = np.einsum("qd,qd->q", wide, gallery[: len(query)].astype(np.float64))
    above = np.zeros(len(query), np.int64)
    best: list[list[np.ndarray]] = [[], []]
    for start in range(0, len(gallery), 8192):
        scores = wide @ gallery[start : start + 8192].astype(np.float64).T
        above += (scores > matches[:, None] + 1e-12).sum(axis=1)
        width = min(K, scores.shape[1])
        part = np.argpartition(-scores, width - 1, axis=1)[:, :width]
        best[0].append(part + start)
        best[1].append(np.take_along_axis(scores, part, axis=1))
    position, score = np.concatenate(best[0], axis=1), np.concatenate(best[1], axis=1)
    order = np.lexsort((position, -np.rint(score / 1e-12)), axis=1)[:, :K]
    return above + 1, np.take_along_axis(position, order, axis=1)


def write_store(folder: Path, gallery: np.ndarray) -> None:
    """Writes the gallery as `export` would."""
    from tests.embeddings.stores import write_store as write

    keys = [f"{number:07d}" for number in range(len(gallery))]
    ones = np.ones(len(gallery), np.int64)
    write(folder / "store", gallery, keys, ones, ones, shard_rows=8192)


def contest(name: str, folder: Path, openblas: str) -> dict[str, float]:
    """Runs one contestant; its answer is left in `answer.npz`."""
    command = [sys.executable, "-m", "benchmarks.search_peers", name, str(folder)]
    environment = {**os.environ, "OPENBLAS_CORETYPE": openblas} if openblas else dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603
    if done.returncode:
        raise click.ClickException(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def right(folder: Path, expected: tuple[np.ndarray, np.ndarray]) -> str:
    """How many queries have the right rank, and the right list."""
    with np.load(folder / "answer.npz") as answer:
        said = []
        for key, truth in zip(("ranks", "top"), expected, strict=True):
            found = answer.get(key)
            equal = None if found is None else (found == truth).reshape(len(truth), -1).all(axis=1).sum()
            said.append("-" if equal is None else f"{equal:,}")
    return " / ".join(said)


@click.command()
@click.option("--gallery", default=119_683, show_default=True)
@click.option("--queries", default=1000, show_default=True)
@click.option("--dimension", default=2048, show_default=True)
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, default=KINDS, show_default=True)
@click.option("--only", multiple=True, help="Contestants to run; all where not given.")
@click.option("--skip-slow", is_flag=True, help="Leave out those that take minutes.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--openblas", default="SkylakeX", show_default=True, help="OPENBLAS_CORETYPE; empty leaves it alone.")
def main(
    gallery: int,
    queries: int,
    dimension: int,
    kinds: tuple[str, ...],
    only: tuple[str, ...],
    skip_slow: bool,
    rounds: int,
    openblas: str,
) -> None:
    """Times all contestants and prints a table for each kind of data."""
    machine = this_machine(torch.device("cpu"))
    click.echo(f"{queries:,} x {gallery:,} x {dimension:,}, {rounds} rounds")
    click.echo(f"{machine.processor}, {os.cpu_count()} cores, OpenBLAS kernel {openblas or 'as it chooses'}")
    for kind in kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            query, rows = draw(kind, queries, gallery, dimension)
            expected = reference(query, rows)
            np.save(folder / "query.npy", query)
            np.save(folder / "gallery.npy", rows)
            write_store(folder, rows)
            del rows
            names = [one for one in only or contestants(folder) if not (skip_slow and one in SLOW)]
            seconds: dict[str, list[float]] = {one: [] for one in names}
            peaks, correct = dict.fromkeys(names, 0.0), dict.fromkeys(names, "")
            for turn in range(rounds):
                for one in names:
                    if turn and one in SLOW:
                        continue
                    outcome = contest(one, folder, openblas)
                    seconds[one].append(outcome["seconds"])
                    peaks[one] = max(peaks[one], outcome["peak"])
                    correct[one] = right(folder, expected)
        median = {one: statistics.median(values) for one, values in seconds.items()}
        best = median.get("faiss.knn", min(median.values()))
        click.echo(f"\n{kind}\n\n| contestant | s | of faiss.knn | peak memory, MB | right ranks / lists |")
        click.echo("| --- | --- | --- | --- | --- |")
        for one in names:
            share = f"{median[one] / best:.2f}"
            click.echo(f"| {one} | {median[one]:.2f} | {share} | {peaks[one] / 1e6:,.0f} | {correct[one]} |")


if __name__ == "__main__":
    main()
