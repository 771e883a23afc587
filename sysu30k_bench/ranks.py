"""The processes of one run: alone, or several under `torchrun`."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sysu30k_bench.errors import UsageError

Item = TypeVar("Item")

_PATIENCE = timedelta(days=7)  # one process may have hours of work left while the others wait for it


@dataclass(frozen=True)
class Ranks:
    """This process's place among those of the run.

    Attributes:
        rank: Its number, from 0.
        world: How many there are.
        local_rank: Its number on this machine, which chooses its GPU.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> Ranks:
        """Joins the process group that `torchrun` describes; alone where there is none."""
        if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
            return cls()
        try:
            ranks = cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0")))
            if ranks.world > 1:
                from torch import distributed

                if not distributed.is_initialized():
                    distributed.init_process_group("gloo", timeout=_PATIENCE)
                    atexit.register(_leave)
        except (ValueError, RuntimeError) as error:
            raise UsageError(
                f"RANK and WORLD_SIZE are set, and the processes cannot be joined: {error}",
                hint="start several processes with torchrun, or unset RANK and WORLD_SIZE for one",
            ) from error
        return ranks

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def gather(self, item: Item) -> list[Item]:
        """Returns every process's item, in the order of the ranks, to every process; also a barrier."""
        if self.world == 1:
            return [item]
        from torch import distributed

        items: list[Item | None] = [None] * self.world
        distributed.all_gather_object(items, item)
        return [value for value in items if value is not None]


def _leave() -> None:
    """Ends the group's threads before the interpreter does: torch would abort a process that had done all its work."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
