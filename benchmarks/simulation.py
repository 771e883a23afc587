"""What `eval` would take beyond one machine: time and memory by measured rates, for galleries up to a thousand million.

The rates are measured here (`--measure`, a minute) or given; everything else is arithmetic:

- export: images / (processes x images/s), but not faster than the images can be read from shared storage;
- search: pairs / (processes x pairs/s), but not faster than the store can be read from shared storage, plus what every
  process does alone: reading all labels, and merging the others' counts and top lists over the network;
- memory of a process: libraries, two shards, a block (see `block_rows_for`), its queries, and the labels of the whole
  gallery, which every process holds.

Run with `make simulation`.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import click
import numpy as np
import psutil
import torch

from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.search.search import block_rows_for

GALLERIES = (10**6, 10**7, 10**8, 10**9)
PROCESSES = (1, 8, 64)
POSITIVE = click.FloatRange(0, 1e9, min_open=True)
TOP_BYTES = 16
"""A row of a top list: a position and a score."""


@dataclass(frozen=True)
class Rates:
    """What a process, the storage and the network do.

    Attributes:
        images: Images that a process embeds in a second, decoding included.
        pairs: Pairs of a query and a row, in thousands of millions, that a process decides in a second.
        labels: Labels that a process reads in a second, in millions.
        label_bytes: Memory of a label.
        storage: Megabytes that shared storage gives all processes together in a second.
        network: Megabytes that a process receives from the others in a second.
        libraries: Megabytes of a process that has imported everything.
    """

    images: float
    pairs: float
    labels: float
    label_bytes: float
    storage: float
    network: float
    libraries: float


@dataclass(frozen=True)
class Job:
    """What is evaluated.

    Attributes:
        queries: Q.
        gallery: G.
        dimension: D.
        item_bytes: Bytes of a stored number.
        image_bytes: Bytes of an image file.
        memory: `--memory`, bytes.
        top_k: Rows of a top list.
    """

    queries: int
    gallery: int
    dimension: int = 2048
    item_bytes: int = 4
    image_bytes: int = 4000
    memory: int = 2 * 10**9
    top_k: int = 20


@dataclass(frozen=True)
class Estimate:
    """What it takes.

    Attributes:
        export: Seconds.
        search: Seconds.
        memory: Bytes of a process.
        disk: Bytes of the store.
    """

    export: float
    search: float
    memory: float
    disk: float


def estimate(job: Job, processes: int, rates: Rates) -> Estimate:
    """Computes what a job takes on so many processes."""
    everything = job.queries + job.gallery
    store = job.gallery * job.dimension * job.item_bytes
    export = max(everything / (processes * rates.images), everything * job.image_bytes / (rates.storage * 1e6))
    deciding = job.queries * job.gallery / (processes * rates.pairs * 1e9)
    merging = (processes - 1) * job.queries * (job.top_k * TOP_BYTES + 16) / (rates.network * 1e6)
    alone = job.gallery / (rates.labels * 1e6) + merging
    search = max(deciding, store / (rates.storage * 1e6)) + alone
    rows = block_rows_for(job.memory, job.queries, job.dimension)
    block = rows * (job.dimension * 12 + job.queries * 11)
    shards = 2 * 8192 * job.dimension * job.item_bytes
    asked = 3 * job.queries * job.dimension * 4
    memory = rates.libraries * 1e6 + job.gallery * rates.label_bytes + block + shards + asked
    return Estimate(export, search, memory, store)


def measured(rates: Rates) -> Rates:
    """Measures pairs, labels and libraries here; the rest stays as given."""
    from benchmarks.search_data import draw
    from benchmarks.search_peers import ours
    from tests.embeddings.stores import write_store

    query, gallery = draw("clustered", 1000, 60_000, 2048)
    search = ours("auto", "auto")
    search(query[:100], gallery[:5000])  # loads what it needs
    started = time.perf_counter()
    search(query, gallery)
    pairs = len(query) * len(gallery) / (time.perf_counter() - started) / 1e9
    del query, gallery
    libraries = psutil.Process().memory_info().rss / 1e6
    with tempfile.TemporaryDirectory() as folder:
        count = 400_000
        keys = [f"gallery/{number // 10:09}/{number // 10:09}_c{number % 10}_1.jpg" for number in range(count)]
        ones = np.ones(count, np.int64)
        write_store(Path(folder) / "store", np.ones((count, 1), np.float32), keys, ones, ones, shard_rows=8192)
        del keys
        before, started = psutil.Process().memory_info().rss, time.perf_counter()
        labels = Store.open(Path(folder) / "store").labels()
        seconds = time.perf_counter() - started
        each = (psutil.Process().memory_info().rss - before) / len(labels.key)
    return replace(rates, pairs=pairs, labels=count / seconds / 1e6, label_bytes=each, libraries=libraries)


def shown(seconds: float) -> str:
    """A length of time in its largest units."""
    return str(timedelta(seconds=round(seconds))) if seconds < 86_400 else f"{seconds / 86_400:,.1f} days"


@click.command()
@click.option("--measure", is_flag=True, help="Measure pairs, labels and libraries on this machine.")
@click.option("--images", type=POSITIVE, default=40.0, show_default=True, help="Images/s of a process; a GPU: 1,000.")
@click.option("--pairs", type=POSITIVE, default=0.08, show_default=True, help="1e9 pairs/s of a process.")
@click.option("--labels", type=POSITIVE, default=0.5, show_default=True, help="Millions of labels/s.")
@click.option("--label-bytes", type=click.FloatRange(0, 1e6), default=150.0, show_default=True)
@click.option("--storage", type=POSITIVE, default=2000.0, show_default=True, help="MB/s of shared storage, for all.")
@click.option("--network", type=POSITIVE, default=1000.0, show_default=True, help="MB/s that a process receives.")
@click.option(
    "--libraries",
    type=click.FloatRange(0, 1e6),
    default=600.0,
    show_default=True,
    help="MB of an idle process.",
)
@click.option("--queries", type=click.IntRange(1), default=1000, show_default=True)
def main(measure: bool, queries: int, **given: float) -> None:
    """Prints the table."""
    rates = measured(Rates(**given)) if measure else Rates(**given)
    if measure:
        click.echo(f"measured on {this_machine(torch.device('cpu')).processor}, {torch.get_num_threads()} threads")
    click.echo(f"{rates}\n")
    click.echo("| gallery | processes | export | search | memory of a process, GB | store, GB |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for gallery in GALLERIES:
        for processes in PROCESSES:
            found = estimate(Job(queries, gallery), processes, rates)
            times = f"{shown(found.export)} | {shown(found.search)}"
            sizes = f"{found.memory / 1e9:,.1f} | {found.disk / 1e9:,.0f}"
            click.echo(f"| {gallery:,} | {processes} | {times} | {sizes} |")


if __name__ == "__main__":
    main()
