"""Memory of the search as a process: a setting, not a function of the gallery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Outcome, unit_rows
from tests.embeddings.stores import write_store

Bench = Callable[..., Outcome]
QUERIES, WIDTH = 100, 512


def write_run(folder: Path, gallery: int) -> Path:
    rng = np.random.default_rng(gallery)
    people = np.concatenate([np.arange(QUERIES), np.full(gallery - QUERIES, -1000)])
    for role, count, camera in (("query", QUERIES, 2), ("gallery", gallery, 1)):
        write_store(
            folder / "embeddings" / role,
            unit_rows(rng, count, WIDTH),
            [f"{role}/{number:06d}.jpg" for number in range(count)],
            people[:count],
            np.full(count, camera),
            role=role,
            shard_rows=4096,
        )
    return folder


@pytest.mark.parametrize("extra", [[], ["--engine", "torch", "--filter", "float32"]])
def test_four_times_the_gallery_takes_no_more(bench: Bench, tmp_path: Path, extra: list[str]) -> None:
    peaks = []
    for gallery in (16_384, 65_536):
        run = write_run(tmp_path / f"{gallery}", gallery)
        done = bench("search", run, "--memory", "60MB", "--json", *extra)
        assert done.code == 0, done.err
        assert done.json["gallery"] == gallery
        peaks.append(done.json["peak_memory_bytes"])
    more = (65_536 - 16_384) * WIDTH * 4
    assert peaks[1] - peaks[0] < 0.4 * more, f"{peaks} bytes; the galleries differ by {more}"
