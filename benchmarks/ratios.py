"""One table of ratios that a maintainer looks at before a release, and a check that none fell.

Each line times two ways of the same work, in turn, round by round, and gives the median of the rounds' ratios with the
least and the largest: a machine's speed wavers by a factor of two, and the ratio of neighbours hardly. `--record` keeps
the ratios, `--against` compares with ratios kept on the same machine and exits with 1 where one fell by more than its
noise. Run with `make bench`; `make bench BENCH=--small` takes eight minutes and more.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch

from benchmarks.search import contest, write_store
from benchmarks.search_data import draw
from sysu30k_bench.evaluation.environment import this_machine

SLACK = 0.05
"""A ratio may fall by a twentieth whatever its spread: two medians of a handful of rounds differ by that."""


KERNEL = "SkylakeX" if "AVX512" in torch.backends.cpu.get_cpu_capability() else "Haswell"
"""FAISS brings an OpenBLAS that takes its slowest kernel on processors that it does not know."""


class Pair(NamedTuple):
    """One line of the table.

    Attributes:
        name: What is compared.
        ours: Seconds of our way, when called.
        theirs: Seconds of the way beside it.
    """

    name: str
    ours: Callable[[], float]
    theirs: Callable[[], float]


class Ratio(NamedTuple):
    """How many times faster our way is: its rounds, in order."""

    rounds: list[float]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    @property
    def error(self) -> float:
        """Standard error of the median, by the median distance of a round from it, were the rounds normal."""
        distance = statistics.median(abs(one - self.median) for one in self.rounds)
        return 1.4826 * 1.2533 * distance / len(self.rounds) ** 0.5


def measure(pair: Pair, rounds: int) -> Ratio:
    """Times both ways of a pair, in turn, after one round that is not counted."""
    found = []
    for number in range(rounds + 1):
        ours, theirs = pair.ours(), pair.theirs()
        if number:
            found.append(theirs / ours)
    return Ratio(found)


def fell(now: Ratio, before: Ratio) -> bool:
    """Returns whether a ratio is smaller than it was by more than the noise of both."""
    noise = 2 * (now.error**2 + before.error**2) ** 0.5 + SLACK * before.median
    return now.median < before.median - noise


@contextmanager
def searches(gallery: int, dimension: int, openblas: str) -> Iterator[list[Pair]]:
    """Exact search beside `faiss.knn`, and from HDF5 beside memory, in fresh processes."""
    with tempfile.TemporaryDirectory() as name:
        pairs = []
        for kind, queries in (("clustered", 1000), ("relu", 1000), ("random", 1000), ("clustered", 100)):
            folder = Path(name) / f"{kind}-{queries}"
            folder.mkdir()
            query, rows = draw(kind, queries, gallery, dimension)
            np.save(folder / "query.npy", query)
            np.save(folder / "gallery.npy", rows)
            timed = partial(_seconds, folder=folder, openblas=openblas)
            title = f"search of {queries:,} queries, {kind}"
            pairs.append(Pair(f"{title}, beside faiss.knn", partial(timed, "ours, auto"), partial(timed, "faiss.knn")))
            if kind == "clustered" and queries == 1000:
                write_store(folder, rows)
                stored = partial(timed, "ours, auto, from HDF5")
                pairs.append(Pair(f"{title}, from HDF5 beside memory", stored, partial(timed, "ours, auto")))
        yield pairs


def _seconds(name: str, folder: Path, openblas: str) -> float:
    return contest(name, folder, openblas)["seconds"]


@contextmanager
def exports(images: int) -> Iterator[list[Pair]]:
    """`export` beside the bare network on a batch in memory: eager, and what `auto` may choose."""
    from torchvision.models import resnet50

    from benchmarks.export import Bare, export, prepared
    from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
    from sysu30k_bench.models.backends.contract import BackendRefusal
    from sysu30k_bench.models.backends.registry import candidates_for
    from sysu30k_bench.progress import Silent

    with tempfile.TemporaryDirectory() as name:
        root, weights = Path(name) / "twin", Path(name) / "resnet50.pth"
        write_twin(root, TwinRequest(identities=images // 4, distractors=images // 2), Silent())
        torch.manual_seed(0)
        torch.save(resnet50(weights=None).state_dict(), weights)
        cpu = torch.device("cpu")
        pairs = []
        eager = Bare(weights, "eager", 32, cpu, bf16=False)
        for backend in ("eager", *candidates_for(cpu)):
            try:
                alone = Bare(weights, backend, 32, cpu, bf16=False)
            except BackendRefusal as refusal:
                click.echo(f"(no {backend}: {refusal})", err=True)
                continue
            bare = partial(alone.seconds, images)
            ready = prepared(weights, root, backend, 32, "cpu", "fp32")
            pairs.append(Pair(f"export by {backend}, beside {backend} alone", partial(export, ready), bare))
            if backend != "eager":
                pairs.append(Pair(f"{backend} alone, beside eager alone", bare, partial(eager.seconds, images)))
        yield pairs


@click.command()
@click.option("--small", is_flag=True, help="A sixteenth of the gallery and few images, for a shorter check.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--only", default="", help="Lines whose name holds this.")
@click.option("--openblas", default=KERNEL, show_default=True, help="OPENBLAS_CORETYPE of all contestants.")
@click.option("--record", type=click.Path(path_type=Path), help="Write the ratios to this file.")
@click.option("--against", type=click.Path(path_type=Path, exists=True), help="Compare with ratios of this file.")
def main(small: bool, rounds: int, only: str, openblas: str, record: Path | None, against: Path | None) -> None:
    """Measures every ratio and prints the table."""
    gallery, images = (29_920, 96) if small else (119_683, 240)
    before = {name: Ratio(found) for name, found in json.loads(against.read_text()).items()} if against else {}
    machine = this_machine(torch.device("cpu"))
    click.echo(f"{machine.processor}, {os.cpu_count()} cores, {rounds} rounds; gallery {gallery:,} x 2,048\n")
    click.echo("| ratio of speeds | median | least to largest | before |\n| --- | --- | --- | --- |")
    kept: dict[str, list[float]] = {}
    fallen = []
    for part in (searches(gallery, 2048, openblas), exports(images)):
        with part as pairs:
            for pair in pairs:
                if only not in pair.name:
                    continue
                found = measure(pair, rounds)
                kept[pair.name] = found.rounds
                old = before.get(pair.name)
                fallen += [pair.name] if old is not None and fell(found, old) else []
                click.echo(
                    f"| {pair.name} | {found.median:.2f} | {min(found.rounds):.2f} to {max(found.rounds):.2f} "
                    f"| {'-' if old is None else f'{old.median:.2f}'} |"
                )
    if record is not None:
        record.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if fallen:
        click.echo(f"\nfell by more than the noise: {'; '.join(fallen)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
