"""Ctrl-C and kill -9: nothing is lost, and the same command ends with the same bytes."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Begun, Zygote

KILLS = 10
SHARD_ROWS = 8


def start(zygote: Zygote, checkpoint: Path, data: Path, run: Path) -> Begun:
    words = ["export", checkpoint, "--data", data, "--output", run]
    return zygote.begin(*words, "--shard-rows", SHARD_ROWS, "--batch-size", "4")


def digests(run: Path) -> dict[str, str]:
    stores = run / "embeddings"
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(stores.rglob("*"))
        if path.is_file()
    }


def shards(run: Path) -> int:
    return len(list(run.rglob("shard-*.h5")))


def test_export_killed_ten_times_ends_with_the_same_bytes(
    zygote: Zygote, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    whole = start(zygote, stripes_checkpoint, twin, alone)
    began = time.monotonic()
    assert whole.wait()[0] == 0
    length = time.monotonic() - began
    rng = random.Random(0)  # noqa: S311
    grown = []
    for _ in range(KILLS):
        process = start(zygote, stripes_checkpoint, twin, killed)
        # aim at the export itself: the first moments go to the card and the network
        time.sleep(length * rng.uniform(0.5, 0.98))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        grown.append(shards(killed))
    assert grown == sorted(grown), "a kill cost a finished shard"
    last = start(zygote, stripes_checkpoint, twin, killed)
    assert last.wait()[0] == 0
    assert digests(killed) == digests(alone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_says_that_the_same_command_goes_on(
    zygote: Zygote, twin: Path, stripes_checkpoint: Path, tmp_path: Path, number: int
) -> None:
    run = tmp_path / "run"
    process = start(zygote, stripes_checkpoint, twin, run)
    deadline = time.monotonic() + 60
    while not shards(run) and time.monotonic() < deadline and process.runs:
        time.sleep(0.005)
    os.kill(process.pid, number)
    code, said = process.wait()
    if code == 0:
        pytest.skip("the export was faster than the signal")
    assert code == 130
    assert "the same command resumes" in said
    assert "Traceback" not in said
    assert start(zygote, stripes_checkpoint, twin, run).wait()[0] == 0
