from __future__ import annotations

import subprocess
import sys

import numpy as np

from sysu30k_bench.evaluation.environment import peak_memory_bytes

CHILD = "from sysu30k_bench.evaluation.environment import peak_memory_bytes; print(peak_memory_bytes())"


def test_peak_memory_sees_what_was_freed_again() -> None:
    before = peak_memory_bytes()
    np.ones(1 << 28, np.uint8).sum()
    grown = peak_memory_bytes()
    assert grown >= before
    assert grown > 1 << 28


def test_peak_memory_is_this_programs_alone() -> None:
    ballast = np.ones(2 << 30, np.uint8)
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert ballast[-1] == 1
    assert int(done.stdout) < 3 << 29
