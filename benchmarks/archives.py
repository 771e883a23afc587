"""A test set in tars beside the same files unpacked: indexing, opening, reading in order and at random, memory.

Every measurement runs in a process of its own; files are in the page cache. `make bench-archives`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.progress import Silent

_RANDOM = 20_000


def pack(images: Path, packed: Path, tars: int) -> None:
    """Deals the identities' folders out to tars, as a release in parts is."""
    packed.mkdir()
    folders = sorted(folder for role in ("query", "gallery") for folder in (images / role).iterdir())
    for number in range(tars):
        with tarfile.open(packed / f"sysu_test_set_all_{number:02d}.tar", "w", dereference=True) as tar:
            for folder in folders[number::tars]:
                tar.add(folder, f"sysu_test_set_all/{folder.relative_to(images).as_posix()}")


def measure(root: Path) -> None:
    """Opens a test set and reads it; prints JSON."""
    began = time.perf_counter()
    test_set = open_test_set(root)
    opened = time.perf_counter()
    keys = test_set.gallery.keys
    size = sum(len(test_set.images.read(key)) for key in keys)
    ordered = time.perf_counter()
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(keys))[:_RANDOM]
    shuffled = time.perf_counter()
    for place in drawn.tolist():
        test_set.images.read(keys[place])
    done = time.perf_counter()
    found = {
        "open_s": opened - began,
        "in_order_per_s": len(keys) / (ordered - opened),
        "at_random_per_s": len(drawn) / (done - shuffled),
        "mb": size / 1e6,
        "peak_mb": peak_memory_bytes() / 1e6,
        "fingerprint": test_set.gallery.fingerprint[:12],
    }
    sys.stdout.write(json.dumps(found))


@click.command()
@click.option("--identities", default=1_000, show_default=True)
@click.option("--distractors", default=98_000, show_default=True)
@click.option("--tars", default=3, show_default=True)
@click.option("--root", type=click.Path(path_type=Path), hidden=True)
def main(identities: int, distractors: int, tars: int, root: Path | None) -> None:
    """Draws images, packs them, and prints a table."""
    if root is not None:
        measure(root)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, packed = Path(name) / "twin", Path(name) / "packed"
        images = write_twin(folder, TwinRequest(identities, distractors), Silent())
        pack(images, packed, tars)
        click.echo(
            f"{2 * identities + distractors:,} images, {tars} tars; {this_machine(torch.device('cpu')).processor}"
        )
        began = time.perf_counter()
        open_test_set(packed)
        click.echo(f"indexed and opened for the first time in {time.perf_counter() - began:.1f} s")
        click.echo("\n| | open, s | in order, images/s | at random, images/s | peak memory, MB | lists |")
        click.echo("| --- | --- | --- | --- | --- | --- |")
        for what, place in (("folder", folder), ("tars", packed)):
            command = [sys.executable, "-m", "benchmarks.archives", "--root", str(place)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603
            found = json.loads(done.stdout)
            click.echo(
                f"| {what} | {found['open_s']:.2f} | {found['in_order_per_s']:,.0f} | {found['at_random_per_s']:,.0f} "
                f"| {found['peak_mb']:,.0f} | {found['fingerprint']} |"
            )


if __name__ == "__main__":
    main()
