"""How the search grows: with the gallery, and with the number of queries; beside `faiss.knn`.

Every run has a process of its own; one round each. `make bench-search-growth`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.search import contest
from benchmarks.search_data import KINDS, draw
from sysu30k_bench.evaluation.environment import this_machine

CONTESTANTS = ("ours, auto", "faiss.knn")


@click.command()
@click.option("--gallery", default=478_731, show_default=True)
@click.option("--queries", default=10_000, show_default=True, help="The most; a tenth and a hundredth are run too.")
@click.option("--dimension", default=2048, show_default=True)
@click.option("--kind", type=click.Choice(KINDS), default="clustered", show_default=True)
@click.option("--openblas", default="SkylakeX", show_default=True, help="OPENBLAS_CORETYPE; empty leaves it alone.")
def main(gallery: int, queries: int, dimension: int, kind: str, openblas: str) -> None:
    """Times both contestants and prints a table."""
    machine = this_machine(torch.device("cpu"))
    click.echo(f"{kind}, {dimension:,} dimensions; {machine.processor}, {os.cpu_count()} cores")
    click.echo("\n| queries | gallery | ours, s | faiss.knn, s | ratio | ours, ns a pair | ours, peak MB |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    sizes = [(queries // 10, gallery // part) for part in (8, 4, 2, 1)] + [
        (queries // 100, gallery),
        (queries, gallery),
    ]
    asked, rows = draw(kind, queries, gallery, dimension)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for some, size in sizes:
            np.save(folder / "query.npy", asked[:some])
            np.save(folder / "gallery.npy", rows[:size])
            ours, theirs = (contest(one, folder, openblas) for one in CONTESTANTS)
            each = ours["seconds"] / some / size * 1e9
            click.echo(
                f"| {some:,} | {size:,} | {ours['seconds']:.2f} | {theirs['seconds']:.2f} "
                f"| {ours['seconds'] / theirs['seconds']:.2f} | {each:.1f} | {ours['peak'] / 1e6:,.0f} |"
            )


if __name__ == "__main__":
    main()
