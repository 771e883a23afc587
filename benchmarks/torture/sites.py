"""A failing system call at every write and read site, at locks, and a clock that jumps."""

from __future__ import annotations

import errno
import os
import re
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.torture.kills import Undisturbed
from benchmarks.torture.processes import End, Fault
from benchmarks.torture.table import Ledger

_DAY = 86_400
_READS = 2
_NUMBERS = re.compile(r"[0-9a-f]{8}-\d+(?=\.partial)|[0-9]+")


@dataclass(frozen=True)
class Weather:
    """A kind of fault.

    Attributes:
        name: For the table.
        error: The error number.
        kinds: The calls that it concerns (see `Fault`).
        mode: Whether it passes (0), stays (1) or begins with half a write and stays (2).
        jump: Seconds by which the clock jumps.
    """

    name: str
    error: int
    kinds: int = 1
    mode: int = 0
    jump: int = 0


WEATHERS = [
    Weather("disk full (ENOSPC, stays)", errno.ENOSPC, 1, 2),
    Weather("write error (EIO, once)", errno.EIO),
    Weather("becomes read-only (EROFS, stays)", errno.EROFS, 1, 1),
    Weather("no inodes (ENOSPC on new names)", errno.ENOSPC, 8, 1),
    Weather("read error (EIO, stays)", errno.EIO, 2, 1),
    Weather("locks fail (ENOLCK)", errno.ENOLCK, 4, 1),
    Weather("locks fail (ENOTSUP)", errno.ENOTSUP, 4, 1),
]
CLOCKS = [
    Weather("clock jumps back a day", 0, 16, 1, -_DAY),
    Weather("clock jumps forward a year", 0, 16, 1, 365 * _DAY),
]


def sites(whole: Undisturbed, weather: Weather) -> list[tuple[int, str]]:
    """Returns the number of each call of an undisturbed run, and its name; one of each kind of site first.

    A kind of site is the call and the file's name without its digits.
    """
    scene, job = whole.scene, whole.job
    if weather.kinds not in whole.calls:
        scene.reset(job.base)
        whole.calls[weather.kinds] = whole.begin(fault=Fault(scene.shell.work, kinds=weather.kinds)).wait().calls
    seen: Counter[str] = Counter()
    ranked = []
    for number, (call, path) in enumerate(whole.calls[weather.kinds], 1):
        kind = f"{call} {_NUMBERS.sub('#', path.removeprefix(str(scene.shell.work)))}"
        seen[kind] += 1
        ranked.append((seen[kind], number, kind))
    return [(number, kind) for _, number, kind in sorted(ranked)]


def storm(whole: Undisturbed, weather: Weather, ledger: Ledger, until: float, most: int) -> None:
    """Lets the n-th call fail, for every n until the time is up; then runs the command again without the fault."""
    name = whole.job.name
    found = sites(whole, weather)
    tried = 0
    for number, kind in found[:most]:
        if time.monotonic() > until:
            break
        tried += 1
        _strike(whole, weather, number, kind, ledger)
    ledger.note(weather.name, name, f"{tried} of {len(found)} sites")


def _strike(whole: Undisturbed, weather: Weather, number: int, kind: str, ledger: Ledger) -> None:
    scene, job = whole.scene, whole.job
    scene.reset(job.base)
    fault = Fault(scene.shell.work, number, weather.error, weather.kinds, weather.mode, weather.jump)
    end = whole.begin(fault=fault).wait()
    about = f"call {number}: {kind}"
    wrong = [f"{line} ({about})" for line in _wrong(whole, weather, end)]
    again = whole.check(whole.again())
    wrong += [f"afterwards {line} ({about})" for line in again]
    outcome = (
        "not reached" if not end.calls else "done in spite of it" if end.code == 0 else "told, then the same bytes"
    )
    ledger.check(weather.name, job.name, outcome, wrong, end)


def _wrong(whole: Undisturbed, weather: Weather, end: End) -> list[str]:
    if fault := end.fault():
        return [fault]
    if end.code == 0:
        page = whole.scene.shell.work / "runs.html"
        if weather.kinds == _READS and page.is_file() and "damaged" in page.read_text():
            return []  # a list of runs names one that it cannot read, and does not stop at it
        return whole.check(end)
    if not end.calls:
        return [f"ended with {end.code} although nothing failed"]
    if end.code in {1, 2, 130}:
        return [f"ended with {end.code}, which is not the code of a file that cannot be written or read"]
    said = "".join(end.err.split())
    paths = [path for _, path in end.calls]
    if not any(name and "".join(name.split()) in said for path in paths for name in _names(path)):
        return [f"the message names none of {', '.join(dict.fromkeys(paths))}"]
    if os.strerror(weather.error).split()[0].lower() not in end.err.lower() and "disk is full" not in end.err:
        return ["the message does not say why"] if weather.kinds != 2 else []
    return []


def _names(path: str) -> list[str]:
    """Names by which a message may call a file: its own, its final one, its folder's."""
    name = path.rsplit("/", 1)[-1]
    final = re.sub(r"^\.|\.[0-9a-f]{8}-\d+\.partial$|\.partial(-journal)?$|\.lock$", "", name)
    return [name, final, path.rsplit("/", 2)[-2]]


def clock(whole: Undisturbed, weather: Weather, ledger: Ledger, number: int) -> None:
    """Lets the clock jump at its n-th look; the command has to end with the same bytes."""
    scene, job = whole.scene, whole.job
    scene.reset(job.base)
    fault = Fault(scene.shell.work, number, 0, weather.kinds, weather.mode, weather.jump)
    end = whole.begin(fault=fault).wait()
    wrong = [f"{line} (look {number})" for line in whole.check(end)]
    wrong += [f"afterwards {line} (look {number})" for line in whole.check(whole.again())]
    ledger.check(weather.name, job.name, "same bytes", wrong, end)
