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
from sysu30k_bench.evaluation.environment import this_machine


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


@click.command(help=__doc__)
@click.option("--gallery", default=478_731, show_default=True)
@click.option("--dimension", default=256, show_default=True)
@click.option("--kind", type=click.Choice(["clustered", "relu", "random"]), default="clustered", show_default=True)
@click.option("--top-k", default=50, show_default=True)
@click.option("--place", type=click.Path(path_type=Path), help="Where the files are made; a temporary folder if not.")
def main(gallery: int, dimension: int, kind: str, top_k: int, place: Path | None) -> None:
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


if __name__ == "__main__":
    main()
