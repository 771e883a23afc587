from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sysu30k_bench.cpu_count import usable_processors

V1 = "sys/fs/cgroup/cpu/job"


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "count"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a\n", {"sys/fs/cgroup/a/cpu.max": "1000 100000\n"}, 1),
        ("0::/gone\n", {}, 8),
        (
            "5:cpu,cpuacct:/job\n2:memory:/x\n",
            {f"{V1}/cpu.cfs_quota_us": "400000\n", f"{V1}/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        (
            "5:cpu,cpuacct:/job\n",
            {f"{V1}/cpu.cfs_quota_us": "-1\n", f"{V1}/cpu.cfs_period_us": "100000\n"},
            8,
        ),
        ("2:cpuset:/x\n", {"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "100000\n"}, 8),
    ],
)
def test_control_groups_are_respected(tmp_path: Path, groups: str, files: dict[str, str], count: int) -> None:
    assert usable_processors(machine(tmp_path, groups, files)) == count


def test_no_control_groups_leave_the_affinity(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == 8


def test_systems_without_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_processors(tmp_path) == 5


def test_a_process_bound_to_one_processor_counts_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from sysu30k_bench.cpu_count import usable_processors; print(usable_processors())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
