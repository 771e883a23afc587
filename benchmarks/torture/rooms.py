"""What surrounds a command: folders that vanish, decoding workers that die or hang, a device without memory."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress

from benchmarks.torture.kills import Undisturbed
from benchmarks.torture.processes import End, Running
from benchmarks.torture.table import Ledger

_STOPPED_SECONDS = 1.5
_OUT_OF_MEMORY = """
import torch
from sysu30k_bench.models.embedder import Embedder
real, calls = Embedder.__call__, [0]
def short(self, *args, **kwargs):
    calls[0] += 1
    if {when}:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return real(self, *args, **kwargs)
Embedder.__call__ = short
"""


def vanish(whole: Undisturbed, rng: random.Random, ledger: Ledger) -> None:
    """Removes the output folder in the middle: an end that says so, and the same bytes from the same command."""
    scene, job = whole.scene, whole.job
    if job.base != "empty":  # its input would be gone, too
        return
    scene.reset(job.base)
    running = whole.begin()
    moment = rng.uniform(0.2, 1.0) * whole.seconds
    running.sleep(moment)
    for path in scene.shell.work.iterdir():
        shutil.rmtree(path, ignore_errors=True)
    end = running.wait()
    if job.again:  # the checkpoints of finished epochs are gone for good: a training is begun again
        scene.reset(job.base)
    wrong = [f"{line} (at {moment:.3f} s)" for line in [end.fault()] if line]
    wrong += [f"afterwards {line} (at {moment:.3f} s)" for line in whole.check(whole.again())]
    told = "done" if end.code == 0 else f"told ({end.code})"
    ledger.check("output folder vanishes", job.name, f"{told}, then the same bytes", wrong, end)


def workers(whole: Undisturbed, rng: random.Random, ledger: Ledger) -> None:
    """Kills a decoding process, or stops one: a clear end, or a wait until it continues."""
    attacks: list[tuple[str, Callable[[Running, int], End]]] = [
        ("decoding worker killed", _killed),
        ("decoding worker stopped 1.5 s", _stopped),
        ("decoding worker stopped, then SIGTERM", _stopped_and_ended),
    ]
    scene, job = whole.scene, whole.job
    for name, attack in attacks:
        scene.reset(job.base)
        running = whole.begin()
        while running.runs() and not running.children():
            running.sleep(0.002)
        running.sleep(rng.uniform(0, 0.05))
        children = running.children() if running.runs() else []
        if not children:
            running.wait()
            continue
        end = attack(running, rng.choice(children))
        wrong = [line for line in [end.fault()] if line]
        if name.endswith("1.5 s"):
            wrong += whole.check(end)
        wrong += [f"afterwards {line}" for line in whole.check(whole.again())]
        ledger.check(name, job.name, f"ended with {end.code}, then the same bytes", wrong, end)


def _killed(running: Running, worker: int) -> End:
    _send(worker, signal.SIGKILL)
    return running.wait()


def _stopped(running: Running, worker: int) -> End:
    _send(worker, signal.SIGSTOP)
    running.sleep(_STOPPED_SECONDS)
    _send(worker, signal.SIGCONT)
    return running.wait()


def _stopped_and_ended(running: Running, worker: int) -> End:
    _send(worker, signal.SIGSTOP)
    if running.sleep(0.2):
        running.signal(signal.SIGTERM)
    return running.wait()


def _send(worker: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(worker, number)


def out_of_memory(whole: Undisturbed, ledger: Ledger) -> None:
    """Lets the network run out of a device's memory, once or always."""
    scene, job = whole.scene, whole.job
    for name, when in (("once", "calls[0] == 2"), ("always", "True")):
        scene.reset(job.base)
        end = whole.begin(before=_OUT_OF_MEMORY.format(when=when)).wait()
        wrong = [line for line in [end.fault()] if line]
        if end.code not in {0, 3}:
            wrong.append(f"ended with {end.code}")
        wrong += [f"afterwards {line}" for line in whole.check(whole.again())]
        ledger.check(
            f"out of a device's memory, {name}", job.name, f"ended with {end.code}, then the same bytes", wrong, end
        )
