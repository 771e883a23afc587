"""What torchrun costs: one search in one process and in several, with the same cores.

The vectors are clustered, as a trained network's. Rounds are interleaved; each gives the wall time of the command, from
its start to its end. A torchrun of processes that only import torch shows what of it is the start. Run with
`make bench-processes`; it takes 4 bytes of disk a number, twice.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import torch

from benchmarks.graph import write_drawn
from benchmarks.load import stage
from sysu30k_bench.evaluation.environment import this_machine


def seconds_of(processes: int, words: list[str]) -> float:
    """Runs a command of Python in some processes that share the cores."""
    threads = max(1, torch.get_num_threads() // processes)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, *(launcher if processes > 1 else []), *words]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603  our own words
    return time.perf_counter() - began


@click.command(help=__doc__)
@click.option("--gallery", default=478_731, show_default=True)
@click.option("--dimension", default=2048, show_default=True)
@click.option("--processes", default="1,2,4", show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--place", type=click.Path(path_type=Path), help="Where the files are made; a temporary folder if not.")
def main(gallery: int, dimension: int, processes: str, rounds: int, place: Path | None) -> None:
    """Prints a line for each number of processes."""
    machine = this_machine(torch.device("cpu"))
    click.echo(f"1,000 x {gallery:,} x {dimension:,}; {machine.processor}, {torch.get_num_threads()} threads in all\n")
    counts = [int(number) for number in processes.split(",")]
    searching: dict[int, list[float]] = {number: [] for number in counts}
    starting: dict[int, list[float]] = {number: [] for number in counts}
    with tempfile.TemporaryDirectory(dir=place) as name:
        data, features = write_drawn(Path(name), "clustered", gallery, dimension)
        run, empty = Path(name) / "run", Path(name) / "empty.py"
        empty.write_text("import torch\n")
        stage("eval", features, "--data", data, "--output", run, "--device", "cpu")
        rankings = set()
        for _ in range(rounds):
            for number in counts:
                starting[number].append(seconds_of(number, [str(empty)]))
                searching[number].append(
                    seconds_of(number, ["-m", "sysu30k_bench", "search", str(run), "--device", "cpu"])
                )
                rankings.add((run / "ranking.csv").read_bytes())
    if len(rankings) != 1:
        raise click.ClickException("the rankings differ")
    click.echo("| processes | search, s | from least to most | start alone, s |\n| ---: | ---: | --- | ---: |")
    for number in counts:
        low, high = min(searching[number]), max(searching[number])
        middle, start = statistics.median(searching[number]), statistics.median(starting[number])
        click.echo(f"| {number} | {middle:.1f} | {low:.1f} to {high:.1f} | {start:.1f} |")


if __name__ == "__main__":
    main()
