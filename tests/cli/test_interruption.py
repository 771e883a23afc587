"""Ctrl-C and kill -9: nothing is lost, and the same command ends with the same bytes."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 10
SHARD_ROWS = 8


def start(checkpoint: Path, data: Path, run: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "sysu30k_bench",
        "export",
        str(checkpoint),
        "--data",
        str(data),
        "--output",
        str(run),
    ]
    return subprocess.Popen(
        [*command, "--shard-rows", str(SHARD_ROWS), "--batch-size", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digests(run: Path) -> dict[str, str]:
    stores = run / "embeddings"
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(stores.rglob("*"))
        if path.is_file()
    }


def shards(run: Path) -> int:
    return len(list(run.rglob("shard-*.h5")))


def test_export_killed_ten_times_ends_with_the_same_bytes(twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    whole = start(stripes_checkpoint, twin, alone)
    began = time.monotonic()
    assert whole.wait(120) == 0
    length = time.monotonic() - began
    rng = random.Random(0)  # noqa: S311
    grown = []
    for _ in range(KILLS):
        process = start(stripes_checkpoint, twin, killed)
        # aim at the export itself: the first moments go to imports
        time.sleep(length * rng.uniform(0.75, 0.98))
        process.send_signal(signal.SIGKILL)
        process.wait()
        grown.append(shards(killed))
    assert grown == sorted(grown), "a kill cost a finished shard"
    last = start(stripes_checkpoint, twin, killed)
    assert last.wait(120) == 0
    assert digests(killed) == digests(alone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_says_that_the_same_command_goes_on(
    twin: Path, stripes_checkpoint: Path, tmp_path: Path, number: int
) -> None:
    run = tmp_path / "run"
    process = start(stripes_checkpoint, twin, run)
    deadline = time.monotonic() + 60
    while not shards(run) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the export was faster than the signal")
    assert process.returncode == 130
    assert "the same command resumes" in said
    assert "Traceback" not in said
    assert start(stripes_checkpoint, twin, run).wait(120) == 0
