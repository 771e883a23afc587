"""How many processors this process may use: fewer than the machine has, in containers and under batch systems."""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_processors(system: Path = Path("/")) -> int:
    """Counts the processors that this process may keep busy; at least one.

    That is how many its affinity names, as `taskset` and batch systems set it, and no more than its control group and
    those above it are given time for, as `docker run --cpus` does.

    Args:
        system: Where `proc` and `sys` are; tests have their own.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        count = os.cpu_count() or 1
    return max(1, min([count, *(math.ceil(share) for share in _shares(system))]))


def _shares(system: Path) -> list[float]:
    """What each control group may use, in processors."""
    shares = []
    for line in _lines(system / "proc" / "self" / "cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        mounted = system / "sys" / "fs" / "cgroup"
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        base = mounted if number == "0" else mounted / "cpu"
        group = base / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder == base or base in folder.parents:
                shares += _share(folder)
    return shares


def _share(folder: Path) -> list[float]:
    """Reads version 2's `cpu.max`, or version 1's two files; nothing where there is no limit."""
    words = " ".join(_lines(folder / "cpu.max")).split()
    if not words:
        words = [*_lines(folder / "cpu.cfs_quota_us")[:1], *_lines(folder / "cpu.cfs_period_us")[:1]]
    try:
        quota, period = (float(word) for word in words)
    except ValueError:  # "max", or no such files
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
