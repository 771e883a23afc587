"""kill -9 and the gentle signals at random moments; then the same command again, and the same bytes."""

from __future__ import annotations

import random
import signal

from benchmarks.torture.jobs import Job, Scene
from benchmarks.torture.processes import KILLED, End, Fault, Running
from benchmarks.torture.state import canonical_text, differences, snapshot
from benchmarks.torture.table import Ledger

_FIRST_SECONDS = 0.01


class Undisturbed:
    """What a job leaves when nothing happens to it: files, print, seconds."""

    def __init__(self, scene: Scene, job: Job) -> None:
        self.scene = scene
        self.job = job
        self.calls: dict[int, list[tuple[str, str]]] = {}  # by kinds of system calls, where they were recorded
        self.end = self._run()
        self.files = snapshot(scene.shell.work)
        self.seconds = self.end.seconds

    def _run(self) -> End:
        self.scene.reset(self.job.base)
        end = self.begin().wait()
        if end.code:
            raise SystemExit(f"{self.job.name} ended with {end.code}: {end.err}")
        return end

    def begin(self, *, again: bool = False, fault: Fault | None = None, before: str = "") -> Running:
        """Begins the job, or begins it again after an interruption, in the working folder as it is."""
        shell = self.scene.shell
        words = self.job.resumed(shell.work) if again else self.job.words
        return shell.begin(words, fault=fault, before=self.job.before + before)

    def again(self) -> End:
        """Runs it to its end after an interruption."""
        return self.begin(again=True).wait()

    def check(self, end: End) -> list[str]:
        """Returns what is wrong with an ending that should be like this one."""
        if fault := end.fault():
            return [fault]
        if end.code:
            return [f"ended with {end.code}: {end.err.strip()[-300:]}"]
        wrong = differences(self.files, snapshot(self.scene.shell.work))
        if self.job.printed and canonical_text(end.out) != canonical_text(self.end.out):
            wrong.append("printed something else")
        return wrong

    def repeated(self) -> list[str]:
        """Runs it once more, and returns what differs although nothing happened."""
        return self.check(self._run())


def kill(whole: Undisturbed, rng: random.Random, ledger: Ledger, times: int) -> None:
    """Kills a job `times` times at moments of an undisturbed run, lets it end, and compares."""
    scene, job = whole.scene, whole.job
    scene.reset(job.base)
    moments = [rng.uniform(0, whole.seconds) for _ in range(times)]
    for number, moment in enumerate(moments):
        running = whole.begin(again=number > 0)
        running.sleep(moment)
        running.signal(signal.SIGKILL)
        end = running.wait()
        if end.code != KILLED and (fault := end.fault() or (end.code and f"ended with {end.code}: {end.err}")):
            ledger.wrong("kill -9", job.name, f"{fault}, after kills at {moments[:number]}", end)
    wrong = whole.check(whole.again())
    ledger.count("kill -9", job.name, "same bytes after it" if not wrong else "VIOLATION", times)
    for line in wrong:
        ledger.wrong("kill -9", job.name, f"{line}, after kills at {moments}")


def interrupt(whole: Undisturbed, rng: random.Random, ledger: Ledger) -> None:
    """Sends SIGINT or SIGTERM at a moment from 10 ms on, lets the job end, and compares."""
    scene, job = whole.scene, whole.job
    number = rng.choice((signal.SIGINT, signal.SIGTERM))
    moment = rng.uniform(_FIRST_SECONDS, max(whole.seconds, 2 * _FIRST_SECONDS))
    scene.reset(job.base)
    running = whole.begin()
    while running.runs() and not running.heeds():
        running.sleep(_FIRST_SECONDS / 10)
    running.sleep(moment)
    running.signal(number, group=rng.random() < 0.5)
    end = running.wait()
    about = f"after {number.name} at {moment:.3f} s"
    wrong = [f"{line}, {about}" for line in [end.fault()] if line]
    if end.code not in {0, 130}:
        wrong.append(f"ended with {end.code} {about}: {end.err.strip()[-300:]}")
    wrong += [f"{line}, {about}" for line in whole.check(whole.again())]
    told = "had ended" if end.code == 0 else "130, then the same bytes"
    ledger.count("SIGINT, SIGTERM", job.name, "VIOLATION" if wrong else told)
    for line in wrong:
        ledger.wrong("SIGINT, SIGTERM", job.name, line, end)
