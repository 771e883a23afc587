"""Processes that share a run: all have to come, and one that comes alone is told and disturbs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sysu30k_bench.errors import UsageError
from sysu30k_bench.processes import Ranks
from tests.conftest import Outcome

SOON = timedelta(seconds=3)


def start(bench: Callable[..., Outcome], work: Callable[[Path], None], folder: Path) -> list[str]:
    """Runs a function as both of two processes; returns what they left in `said-RANK`."""
    code = (
        "import os, pathlib, sys\n"
        f"from {work.__module__} import {work.__name__} as work\n"
        f"work(pathlib.Path({str(folder)!r}) / ('said-' + os.environ['RANK']))\n"
        "sys.exit(0)"
    )
    done = bench(processes=2, before=code)
    assert done.code == 0, done.err
    return [(folder / f"said-{rank}").read_text() for rank in range(2)]


def first_alone(said: Path) -> None:
    """What a training script does with its own process group, and `if rank == 0: evaluate(request)`."""
    from torch import distributed

    distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
    told = "nothing"
    if distributed.get_rank() == 0:
        try:
            Ranks.from_environment(SOON)
        except UsageError as error:
            told = str(error)
    gathered: list[object] = [None, None]
    distributed.all_gather_object(gathered, distributed.get_rank())
    # after that both come, and once more
    sums = [sum(Ranks.from_environment(SOON * 10).gather(distributed.get_rank() + 1)) for _ in range(2)]
    said.write_text(f"{told}; {gathered}; {sums}")
    distributed.destroy_process_group()


def test_one_process_alone_is_told_and_leaves_the_programs_group_alone(
    bench: Callable[..., Outcome], tmp_path: Path
) -> None:
    first, second = start(bench, first_alone, tmp_path)
    assert first.startswith("of 2 processes of torchrun, 1 did not come within 0:00:03")
    assert "ranks=Ranks()" in first
    assert first.endswith("; [0, 1]; [3, 3]")
    assert second == "nothing; [0, 1]; [3, 3]"


def no_group_of_its_own(said: Path) -> None:
    if os.environ["RANK"] == "1":
        said.write_text("trains")
        return
    try:
        Ranks.from_environment(SOON)
    except UsageError as error:
        said.write_text(str(error))


def test_a_program_without_a_group_does_not_wait_for_days(bench: Callable[..., Outcome], tmp_path: Path) -> None:
    first, second = start(bench, no_group_of_its_own, tmp_path)
    assert "the processes cannot be joined" in first
    assert second == "trains"
