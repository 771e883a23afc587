"""The training list and the bags at their real size: seconds and peak memory. `make bench-training-list`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from sysu30k_bench.data.weak.bag_file import compare_offsets, fitting_offset, read_bag_file
from sysu30k_bench.data.weak.bags import bags_by_rule, equal_bags
from sysu30k_bench.data.weak.training_list import read_train_txt
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine


def write_lists(folder: Path, identities: int, images: int) -> None:
    """Writes `train.txt` and `bag_level_label.json` in the published form, labels from 0, clamped bags repeating."""
    rng = np.random.default_rng(0)
    spare = images - identities
    counts = 1 + np.diff(np.sort(np.concatenate([[0, spare], rng.integers(0, spare, identities - 1)])))
    with (folder / "train.txt").open("w") as file:
        for identity, count in enumerate(counts.tolist(), 1):
            file.write("".join(f"{identity:010d}/{number}.jpg\n" for number in range(1, count + 1)))
    entries = []
    for bag in range(3 * identities):
        centre, radius = divmod(bag, 3)
        labels = [min(max(label, 0), identities - 1) for label in range(centre - radius, centre + radius + 1)]
        entries.append(
            {"BagLabel": labels, "BagID": f"bag{bag:010d}", "BagImages": [f"{label:010d}/*" for label in labels]}
        )
    (folder / "bag_level_label.json").write_text(json.dumps(entries))


def measure(folder: Path) -> None:
    """Reads both, in this process, and prints JSON."""
    began = time.perf_counter()
    listed = read_train_txt(folder / "train.txt")
    read = time.perf_counter()
    file = read_bag_file(folder / "bag_level_label.json")
    offset = fitting_offset(compare_offsets(file, listed.folders))
    bags = file.bags(1 if offset is None else offset)
    bags_read = time.perf_counter()
    sizes = bags.sizes(listed)
    sized = time.perf_counter()
    rows = sum(len(bags.rows_of(bag, listed)) for bag in range(0, len(bags), 10))
    drawn = time.perf_counter()
    found = {
        "rows": len(listed),
        "list_seconds": read - began,
        "bags": len(bags),
        "bags_seconds": bags_read - read,
        "sizes_seconds": sized - bags_read,
        "rows_of_a_bag_us": (drawn - sized) / (len(bags) / 10) * 1e6,
        "id_offset": offset,
        "as_the_rule": bool(equal_bags(bags, bags_by_rule(len(listed.folders))).all()),
        "images_in_bags": int(sizes.sum()),
        "every_tenth": rows,
        "peak_bytes": peak_memory_bytes(),
    }
    sys.stdout.write(json.dumps(found))


@click.command()
@click.option("--identities", default=28_310, show_default=True)
@click.option("--images", default=29_606_918, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(identities: int, images: int, folder: Path | None) -> None:
    """Writes the lists, reads them in a process of its own, and prints what that took."""
    if folder is not None:
        measure(folder)
        return
    with tempfile.TemporaryDirectory() as name:
        write_lists(Path(name), identities, images)
        click.echo(f"{this_machine(torch.device('cpu')).processor}, {os.cpu_count()} cores")
        for path in sorted(Path(name).iterdir()):
            click.echo(f"{path.name}: {path.stat().st_size / 1e6:,.0f} MB")
        command = [sys.executable, "-m", "benchmarks.training_list", "--folder", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        for key, value in json.loads(done.stdout).items():
            click.echo(f"{key}: {value:,.2f}" if isinstance(value, float) else f"{key}: {value:,}")


if __name__ == "__main__":
    main()
