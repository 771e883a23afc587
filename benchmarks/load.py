"""The whole main job on drawn images, up to the published size: time and peak memory of every stage.

1,000 queries with one match each, and as many distractors as make the share of the published gallery, of which 60,000
are drawn and the others repeat them; a small network with random weights; the images once in folders and once in tars.
Every stage is a process of its own; the memory is that of its largest process. Run with `make load`; the full size
takes hours on two cores, and 8 GB of disk.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
import torch

from benchmarks.archives import pack
from sysu30k_bench.data.benchmarks.sysu30k import SYNTHETIC_MARK
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.progress import Silent

GALLERY = 478_731
"""Of the published test set; a thousand of it are matches."""


def stage(*words: object) -> tuple[float, float]:
    """Runs a command; returns its seconds, and the peak memory of its largest process in MB."""
    began = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    command = [sys.executable, "-m", "sysu30k_bench", *map(str, words)]
    pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise click.ClickException(f"{' '.join(map(str, words))} ended with {os.waitstatus_to_exitcode(status)}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, and in kB on Linux
    return time.perf_counter() - began, usage.ru_maxrss * unit / 1e6


def widen(images: Path, drawn: int, wanted: int) -> None:
    """Repeats drawn distractors under further names, as hard links, up to the number that is wanted."""
    others, number = images / "gallery" / "0000others", drawn
    listed = []
    while number < wanted:
        first = others / f"0000others_c1_{number % drawn + 1}.jpg"
        number += 1
        os.link(first, others / f"0000others_c1_{number}.jpg")
        listed.append(f"0000others/0000others_c1_{number}.jpg\n")
    with (images.parent / "meta" / "gallery.txt").open("a") as file:
        file.writelines(listed)


def job(root: Path, weights: Path, run: Path) -> dict[str, tuple[float, float]]:
    """The stages of the main job."""
    return {
        "export": stage("export", weights, "--data", root, "--output", run, "--device", "cpu"),
        "search": stage("search", run, "--device", "cpu"),
        "score": stage("score", run),
        "eval again": stage("eval", weights, "--data", root, "--output", run, "--device", "cpu"),
    }


@click.command()
@click.option("--share", "shares", multiple=True, type=float, default=[0.125, 0.25, 0.5, 1.0], show_default=True)
@click.option("--queries", default=1_000, show_default=True)
@click.option("--tars", default=3, show_default=True)
@click.option("--form", "forms", multiple=True, type=click.Choice(["folders", "tars"]), default=["folders", "tars"])
@click.option("--distinct", default=60_000, show_default=True, help="Distractors drawn; the rest repeat them.")
@click.option("--place", type=click.Path(path_type=Path), help="Where to draw; a temporary folder if not given.")
def main(
    shares: tuple[float, ...], queries: int, tars: int, forms: tuple[str, ...], distinct: int, place: Path | None
) -> None:
    """Draws, runs, and prints a line for each stage as soon as it is done."""
    machine = this_machine(torch.device("cpu"))
    click.echo(
        f"{machine.processor}, {torch.get_num_threads()} threads, torch {torch.__version__}; {queries} queries\n"
    )
    click.echo("| gallery | images in | stage | seconds | peak memory, MB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        torch.manual_seed(0)
        torch.save(TinyNet().state_dict(), folder / "tiny.pth")
        for share in shares:
            gallery = round(GALLERY * share)
            began = time.perf_counter()
            drawn = min(gallery - queries, distinct)
            images = write_twin(folder / "folders", TwinRequest(queries, drawn), Silent())
            widen(images, drawn, gallery - queries)
            click.echo(f"| {gallery:,} | - | (drawing the images) | {time.perf_counter() - began:.0f} | |")
            if "tars" in forms:
                pack(images, folder / "tars", tars)
                shutil.copy(folder / "folders" / SYNTHETIC_MARK, folder / "tars")
            rankings = []
            for form in forms:
                run = folder / f"run-{form}"
                for title, (seconds, memory) in job(folder / form, folder / "tiny.pth", run).items():
                    click.echo(f"| {gallery:,} | {form} | {title} | {seconds:.1f} | {memory:,.0f} |")
                rankings.append((run / "ranking.csv").read_bytes())
                shutil.rmtree(run)
            for form in ("folders", "tars"):
                shutil.rmtree(folder / form, ignore_errors=True)
            if len(rankings) > 1:
                same = "equal" if rankings[0] == rankings[1] else "**DIFFERENT**"
                click.echo(f"| {gallery:,} | both | rankings | {same} | |")


if __name__ == "__main__":
    main()
