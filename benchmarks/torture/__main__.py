"""Attacks the tool for some minutes, and prints a Markdown table of what came of it: `make torture`.

Every violation is written in full to the file `violations.txt` in the working folder, and the exit code is 1.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.torture.flips import flip_all
from benchmarks.torture.jobs import JOBS, Job, Scene
from benchmarks.torture.kills import Undisturbed, interrupt, kill
from benchmarks.torture.processes import Shell
from benchmarks.torture.rooms import out_of_memory, vanish, workers
from benchmarks.torture.sites import CLOCKS, WEATHERS, clock, storm
from benchmarks.torture.table import Ledger

SHARES = {"kills": 0.25, "signals": 0.15, "rooms": 0.08, "sites": 0.27, "flips": 0.25}
"""The part of the time that each attack gets."""


class Attack:
    """One run of the command."""

    def __init__(self, scene: Scene, ledger: Ledger, seed: int, only: str) -> None:
        self.scene = scene
        self.ledger = ledger
        self.rng = random.Random(seed)  # noqa: S311  an attack that can be repeated
        self.only = only
        self.jobs = [job for job in JOBS if only.lower() in job.name.lower()] or JOBS
        self._whole: dict[str, Undisturbed] = {}

    def whole(self, job: Job) -> Undisturbed:
        """Returns what a job leaves undisturbed; the first time, that two such runs are equal is checked."""
        if job.name not in self._whole:
            one = Undisturbed(self.scene, job)
            self.ledger.check("nothing, twice", job.name, "same bytes", one.repeated())
            self._whole[job.name] = one
        return self._whole[job.name]

    def kills(self, until: float, most: int) -> None:
        """Kills every job, in turn, until each was killed `most` times or the time is up."""
        left = {job.name: most for job in self.jobs}
        while any(left.values()):
            for job in self.jobs:
                if time.monotonic() > until:
                    return
                if left[job.name]:
                    times = min(left[job.name], self.rng.choice((1, 1, 1, 3)))
                    kill(self.whole(job), self.rng, self.ledger, times)
                    left[job.name] -= times

    def signals(self, until: float, most: int) -> None:
        """Interrupts every job, in turn."""
        for _ in range(most):
            for job in self.jobs:
                if time.monotonic() > until:
                    return
                interrupt(self.whole(job), self.rng, self.ledger)

    def rooms(self, until: float, most: int) -> None:
        """Removes folders, stops workers, takes memory away, and lets the clock jump."""
        for turn in range(most):
            for job in self.jobs:
                if time.monotonic() > until:
                    return
                whole = self.whole(job)
                vanish(whole, self.rng, self.ledger)
                if "2 workers" in job.name:
                    workers(whole, self.rng, self.ledger)
                if not turn and job.name.startswith(("eval", "export", "watch", "leaderboard audit")):
                    out_of_memory(whole, self.ledger)
                if self.scene.shell.library and turn < 2:
                    clock(whole, CLOCKS[turn], self.ledger, self.rng.randrange(1, 30))

    def sites(self, until: float, most: int) -> None:
        """Lets every call fail, kind by kind, each job for an equal part of the time."""
        if self.scene.shell.library is None:
            print("no C compiler, or not Linux: failing system calls were not tried", file=sys.stderr)
            return
        pairs = [(weather, job) for weather in WEATHERS for job in self.jobs]
        for number, (weather, job) in enumerate(pairs):
            if time.monotonic() > until:
                return
            share = (until - time.monotonic()) / (len(pairs) - number)
            storm(self.whole(job), weather, self.ledger, time.monotonic() + share, most)

    def flips(self, until: float, most: int) -> None:
        """Damages every kind of file."""
        flip_all(self.scene, self.rng, self.ledger, until, most, self.only)


@click.command()
@click.option("--minutes", default=30.0, show_default=True, help="Time in all.")
@click.option("--only", default="", help="Only attacks (kills, signals, rooms, sites, flips) or jobs with this text.")
@click.option("--seed", default=0, show_default=True)
@click.option("--kills", default=100, show_default=True, help="kill -9 for each job, if there is time.")
@click.option("--flips", default=1000, show_default=True, help="Damages of each kind of file, if there is time.")
@click.option("--room", type=click.Path(path_type=Path), help="Work here, and keep the files.")
def main(minutes: float, only: str, seed: int, kills: int, flips: int, room: Path | None) -> None:
    """Attacks the tool."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = (room or Path(folder)).absolute()
        place.mkdir(exist_ok=True)
        ledger = Ledger(place / "violations.txt")
        with Shell(place) as shell:
            scene = Scene(place, shell)
            scene.make()
            attack = Attack(scene, ledger, seed, "" if only in SHARES else only)
            shares = {name: share for name, share in SHARES.items() if only in {name, ""} or only not in SHARES}
            counts = {"kills": kills, "signals": kills, "rooms": 10, "sites": 100_000, "flips": flips}
            for number, name in enumerate(shares):
                left = began + 60 * minutes - time.monotonic()
                until = time.monotonic() + left * shares[name] / sum(list(shares.values())[number:])
                getattr(attack, name)(until, counts[name])
    print(f"{ledger.summary()}\n\n{ledger.markdown()}")
    sys.exit(bool(ledger.violations))


if __name__ == "__main__":
    main()
