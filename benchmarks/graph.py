"""Neighbour graph and re-ranking of a drawn gallery, up to the published size: seconds and peak memory of each command.

The vectors are clustered, as a trained network's. Run with `make bench-graph`; at 2,048 dimensions the whole takes
hours on two cores, so that fewer are the default. It takes 4 bytes of disk a number, twice.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import h5py
import numpy as np
import torch

from benchmarks.import_features import lay_out
from benchmarks.load import stage
from benchmarks.search_data import draw
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.search.graph.graph_file import GRAPH_NAME

_AT_ONCE = 20_000


def write_drawn(root: Path, kind: str, gallery: int, dimension: int) -> tuple[Path, Path]:
    """Makes a data set of names, and a features file of its images; returns both."""
    lay_out(root / "data", gallery)
    test_set = open_test_set(root / "data")
    query, rows = draw(kind, len(test_set.query), gallery, dimension)
    people = test_set.gallery.person_ids
    matches, others = np.flatnonzero(people > 0), np.flatnonzero(people <= 0)
    keys = [*test_set.query.keys, *(test_set.gallery.keys[place] for place in [*matches, *others])]
    with h5py.File(root / "features.h5", "w") as file:
        file.create_dataset("key", data=np.array(keys, dtype=h5py.string_dtype()))
        out = file.create_dataset("embedding", (len(keys), dimension), "float32")
        out[: len(query)], out[len(query) :] = query, rows
    return root / "data", root / "features.h5"


def rows_that_are_exact(run: Path, rows: int) -> int:
    """Counts, of some drawn rows, those whose neighbours are the first of a float64 sort of all scores."""
    store = Store.open(RunFolder(run).embeddings("gallery"))
    with h5py.File(run / GRAPH_NAME) as file:
        found = file["position"][:]
    asked = np.sort(np.random.default_rng(0).choice(len(store), min(rows, len(store)), replace=False))
    queries, scores = store.rows(asked).astype(np.float64), np.empty((len(asked), len(store)))
    for start in range(0, len(store), _AT_ONCE):
        some = np.arange(start, min(start + _AT_ONCE, len(store)))
        scores[:, some] = queries @ store.rows(some).astype(np.float64).T
    scores[np.arange(len(asked)), asked] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, : found.shape[1]]
    return int((best == found[asked]).all(axis=1).sum())


@click.command(help=__doc__)
@click.option("--gallery", default=478_731, show_default=True)
@click.option("--dimension", default=256, show_default=True)
@click.option("--kind", type=click.Choice(["clustered", "relu", "random"]), default="clustered", show_default=True)
@click.option("--top-k", default=50, show_default=True)
@click.option("--check", default=40, show_default=True, help="Rows whose neighbours are sorted anew in float64.")
@click.option("--place", type=click.Path(path_type=Path), help="Where the files are made; a temporary folder if not.")
def main(gallery: int, dimension: int, kind: str, top_k: int, check: int, place: Path | None) -> None:
    """Prints a line for each command as soon as it is done."""
    machine = this_machine(torch.device("cpu"))
    click.echo(f"{gallery:,} x {dimension:,}, {kind}; {machine.processor}, {torch.get_num_threads()} threads\n")
    click.echo("| command | seconds | peak memory, MB |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=place) as name:
        data, features = write_drawn(Path(name), kind, gallery, dimension)
        run = Path(name) / "run"
        for title, words in {
            "eval of the features file": ("eval", features, "--data", data, "--output", run),
            f"search --self --top-k {top_k}": ("search", run, "--self", "--top-k", top_k),
            "search --rerank": ("search", run, "--rerank"),
        }.items():
            seconds, memory = stage(*words, "--device", "cpu")
            click.echo(f"| `{title}` | {seconds:,.0f} | {memory:,.0f} |")
        click.echo(
            f"\n{rows_that_are_exact(run, check)} of {check} drawn rows have exactly the neighbours of a float64 sort"
        )


if __name__ == "__main__":
    main()
