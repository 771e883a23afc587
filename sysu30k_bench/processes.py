"""The processes of one run: alone, or several under `torchrun`."""

from __future__ import annotations

import atexit
import os
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sysu30k_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import distributed

Item = TypeVar("Item")

_PATIENCE = timedelta(days=7)  # one process may have hours of work left while the others wait for it
_ARRIVAL = timedelta(minutes=5)
_LOOK_AGAIN = 0.05
_meetings = 0
_ours: dict[Any, Any] = {}


@dataclass(frozen=True)
class Ranks:
    """This process's place among those of the run.

    Attributes:
        rank: Its number, from 0.
        world: How many there are.
        local_rank: Its number on this machine, which chooses its GPU.
        group: Through which they talk, where that is not torch's default group.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    group: distributed.ProcessGroup | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_environment(cls, arrival: timedelta = _ARRIVAL) -> Ranks:
        """Joins the processes that `torchrun` started; alone where there is none.

        All of them have to call it. Where the program has a process group already, nothing is sent through it before
        they have: a process that calls this by itself disturbs nothing, and is told.

        Args:
            arrival: How long to wait for all of them.

        Raises:
            UsageError: Some did not come; or the environment describes no processes.
        """
        if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
            return cls()
        try:
            ranks = cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0")))
            return ranks if ranks.world == 1 else replace(ranks, group=_join(arrival))
        except (ValueError, RuntimeError) as error:
            raise UsageError(
                f"RANK and WORLD_SIZE are set, and the processes cannot be joined: {error}",
                hint="start several with torchrun, which all call this; one alone passes ranks=Ranks(), or unsets both",
            ) from error

    @classmethod
    def of_program(cls, arrival: timedelta = _ARRIVAL) -> Ranks:
        """Joins the processes of the program's own `torch.distributed` group, or else those of `torchrun`.

        All of them have to call it.

        Args:
            arrival: How long to wait for all of them.

        Raises:
            UsageError: Some did not come; or there is neither a group nor `torchrun`.
        """
        from torch import distributed

        if not (distributed.is_available() and distributed.is_initialized()):
            if "RANK" not in os.environ:
                raise UsageError(
                    "distributed=True, and this process is alone: there is no torch.distributed group and no torchrun",
                    hint="call torch.distributed.init_process_group first, or omit distributed",
                )
            return cls.from_environment(arrival)
        rank, world = distributed.get_rank(), distributed.get_world_size()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        return cls(rank, world, local, _join(arrival) if world > 1 else None)

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
        distributed.all_gather_object(items, item, group=self.group)
        return [value for value in items if value is not None]


def _join(arrival: timedelta) -> Any:  # noqa: ANN401  a ProcessGroup, which torch types as a number, too
    """Meets the other processes, and makes the group through which they talk; None for torch's default group."""
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if not distributed.is_initialized():
        store, rank, world = next(rendezvous("env://", timeout=arrival))
        _meet(store, rank, world, arrival)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=_PATIENCE)
        atexit.register(_leave)
        _ours[distributed.group.WORLD] = distributed.group.WORLD
        return None
    _meet(
        distributed.distributed_c10d._get_default_store(),  # noqa: SLF001  torch has no public name for it
        distributed.get_rank(),
        distributed.get_world_size(),
        arrival,
    )
    default = distributed.group.WORLD
    if default not in _ours:  # somebody else's: it may be of GPUs, and of less patience
        _ours[default] = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    return _ours[default]


def _meet(store: Any, rank: int, world: int, arrival: timedelta) -> None:  # noqa: ANN401
    """Waits until all processes are here, by notes in their common store.

    Raises:
        UsageError: Some did not come in time; they are named.
    """
    global _meetings
    notes = [f"sysu30k-bench/{_meetings}/{number}" for number in range(world)]
    store.set(notes[rank], "here")
    deadline = time.monotonic() + arrival.total_seconds()
    while not store.check(notes):
        if time.monotonic() > deadline:
            absent = [str(number) for number, note in enumerate(notes) if not store.check([note])]
            store.delete_key(notes[rank])
            raise UsageError(
                f"of {world} processes of torchrun, {', '.join(absent) or 'some'} did not come within {arrival}",
                hint="call it in every process; or in one alone, with ranks=Ranks()",
            )
        time.sleep(_LOOK_AGAIN)
    _meetings += 1


def _leave() -> None:
    """Ends the group's threads before the interpreter does: torch would abort a process that had done all its work."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
