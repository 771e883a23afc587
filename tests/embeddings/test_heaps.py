"""Heaps of texts in HDF5: every one of a file is walked over, wherever a window of it ends."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from sysu30k_bench.embeddings.features import hdf5_heaps
from sysu30k_bench.embeddings.features.hdf5_heaps import check_heaps

GOOD = b"GCOL\x01\0\0\0" + (64).to_bytes(8, "little") + bytes([0, 0, *[0] * 6, 48, *[0] * 7]) + bytes(32)
BAD = b"GCOL\x01\0\0\0" + (64).to_bytes(8, "little") + bytes([1, 0, *[0] * 6, 200, *[0] * 7]) + bytes(32)


@pytest.mark.parametrize("before", [0, 1, mmap.PAGESIZE - 68, mmap.PAGESIZE - 67, mmap.PAGESIZE, 5 * mmap.PAGESIZE + 9])
def test_a_damaged_heap_is_found_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    monkeypatch.setattr(hdf5_heaps, "_WINDOW", mmap.PAGESIZE)
    path = tmp_path / "f.h5"
    path.write_bytes(GOOD + bytes(before) + GOOD)
    check_heaps(path)
    path.write_bytes(GOOD + bytes(before) + BAD)
    with pytest.raises(ValueError, match=f"at byte {len(GOOD) + before:,} is damaged"):
        check_heaps(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux counts a process's peak there")
def test_the_check_of_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with path.open("wb") as file:
        file.write(GOOD)
        file.truncate(512 << 20)
    program = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from sysu30k_bench.embeddings.features.hdf5_heaps import check_heaps\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]) << 10\n"
        "before = peak()\n"
        "check_heaps(Path(sys.argv[1]))\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 128 << 20
