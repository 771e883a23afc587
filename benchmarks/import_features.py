"""A features file of the full test set, 478,731 x 2,048, becomes a run's stores: seconds and peak memory.

The images are empty files, since an import reads their names alone. The file and the stores take 4 GB of disk
in float16. `python -m benchmarks.import_features`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import h5py
import numpy as np
import torch

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.evaluation.embedding.import_step import import_step, prepare_import
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.processes import Ranks

_FIRST_PERSON = 28_311
_QUERIES = 1000
_CHUNK = 8192


def lay_out(root: Path, gallery: int) -> None:
    """Makes the test set's names: a query and a match of each person, and distractors."""
    top = root / "sysu_test_set_all"
    for person in range(_FIRST_PERSON, _FIRST_PERSON + _QUERIES):
        for role, camera in (("query", 2), ("gallery", 1)):
            folder = top / role / f"{person:09d}"
            folder.mkdir(parents=True)
            (folder / f"{person:09d}_c{camera}_1.jpg").touch()
    others = top / "gallery" / "0000others"
    others.mkdir()
    for number in range(1, gallery - _QUERIES + 1):
        (others / f"0000others_c1_{number}.jpg").touch()


def write_features(path: Path, keys: list[str], dimension: int) -> None:
    """Writes random float16 embeddings with their images' keys, in an order of their own."""
    rng = np.random.default_rng(0)
    shuffled = [keys[place] for place in rng.permutation(len(keys)).tolist()]
    with h5py.File(path, "w") as file:
        file.create_dataset("key", data=np.array(shuffled, dtype=h5py.string_dtype()))
        out = file.create_dataset("embedding", (len(keys), dimension), "float16")
        for first in range(0, len(keys), _CHUNK):
            size = min(_CHUNK, len(keys) - first)
            out[first : first + size] = rng.standard_normal((size, dimension), np.float32)


def measure(folder: Path) -> None:
    """Imports the file; prints JSON."""
    began = time.perf_counter()
    request = ExportRequest(folder / "features.h5", data=folder / "data", output=folder / "run", storage="float16")
    prepared = prepare_import(request, Ranks())
    matched = time.perf_counter()
    import_step(prepared)
    done = time.perf_counter()
    sys.stdout.write(json.dumps({"match_s": matched - began, "import_s": done - matched, "peak": peak_memory_bytes()}))


@click.command(help=__doc__)
@click.option("--gallery", default=478_731, show_default=True)
@click.option("--dimension", default=2048, show_default=True)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where the files are made; a temporary folder if not given."
)
@click.option("--measured", type=click.Path(path_type=Path), hidden=True)
def main(gallery: int, dimension: int, folder: Path | None, measured: Path | None) -> None:
    """Makes the files, imports them in a process of its own, and prints what it took."""
    if measured is not None:
        measure(measured)
        return
    with tempfile.TemporaryDirectory(dir=folder) as made:
        root = Path(made)
        lay_out(root / "data", gallery)
        test_set = open_test_set(root / "data")
        write_features(root / "features.h5", [*test_set.query.keys, *test_set.gallery.keys], dimension)
        size = (root / "features.h5").stat().st_size
        command = [sys.executable, "-m", "benchmarks.import_features", "--measured", str(root)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  itself
        took = json.loads(done.stdout)
    seconds = took["match_s"] + took["import_s"]
    click.echo(
        f"{gallery:,} x {dimension:,}, {size / 1e9:.2f} GB: {seconds:.0f} s ({took['match_s']:.0f} s to read the lists "
        f"and match the keys, {took['import_s']:.0f} s to write the stores), {took['peak'] / 1e9:.2f} GB at the peak"
    )
    click.echo(f"{this_machine(torch.device('cpu')).processor}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
