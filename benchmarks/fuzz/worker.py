"""The process that reads hostile files: fuzzes a target for a time, or replays kept seeds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz.kept import seeds_of

_SLOWEST = 90
"""Seconds of wall time after which an input that never returns to Python ends the process."""


class Tally:
    """What was tried; written down as it grows, for the process may end at any input.

    Args:
        folder: Where `tally.json`, the current input and violations go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, 0.0
        self.counts: dict[str, int] = {}
        self.found: dict[str, str] = {}

    def before(self, content: bytes) -> None:
        """Keeps the input that is about to be read."""
        (self.folder / "current").write_bytes(content)

    def after(self, content: bytes, outcome: str, said: str, *, violation: bool) -> None:
        """Counts an input, and keeps it if it broke a promise in a way that none has before."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        kind = f"{outcome}: {''.join(letter for letter in said if not letter.isdigit())[:80]}"
        if violation and kind not in self.found and len(self.found) < 50:
            name = f"{outcome}-{hashlib.sha256(content).hexdigest()[:12]}"
            self.found[kind] = name
            (self.folder / name).write_bytes(content)
            self.told = 0
        if time.monotonic() - self.told > 1:
            self.told = time.monotonic()
            self.write()

    def write(self) -> None:
        """Writes what is known so far."""
        (self.folder / "tally.json").write_text(json.dumps({"counts": self.counts, "found": self.found}))


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory, with a secret beside it that no reader may open."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as name:
        folder = Path(name).resolve() / "scratch"
        folder.mkdir()
        (folder.parent / "secret.txt").write_text("secret")
        for variable in ("XDG_CACHE_HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR"):
            os.environ[variable] = str(folder)
        tempfile.tempdir = str(folder)
        yield folder


def fuzz(name: str, engine: str, seconds: float, out: Path) -> None:
    """Mutates seeds until the time is over."""
    from benchmarks.fuzz.judge import Judge
    from benchmarks.fuzz.targets import ALL

    atheris: Any = sys.modules.get("atheris")
    target, tally, seeds = ALL[name], Tally(out), list(seeds_of(name).values())
    with scratch() as folder:
        judge = Judge(folder)
        for seed in seeds:  # everything is imported by then
            judge(target, seed)
        judge.limit()

        def one(content: bytes) -> None:
            tally.before(content)
            verdict = judge(target, content)
            tally.after(content, verdict.outcome, verdict.said, violation=verdict.is_violation)

        if engine == "atheris":

            def mutate(content: bytes, most: int, number: int) -> bytes:
                random = Random(number)  # noqa: S311
                if random.random() < 0.3:
                    return bytes(atheris.Mutate(content, most))
                return target.mutate(random.choice(seeds) if random.random() < 0.2 else content, random)[:most]

            flags = [f"-max_total_time={int(seconds)}", f"-timeout={_SLOWEST}", "-rss_limit_mb=0", "-max_len=131072",
                     f"-artifact_prefix={out}/artifact-", "-print_final_stats=1", "-detect_leaks=0"]  # fmt: skip
            corpus = out / "corpus"
            corpus.mkdir(exist_ok=True)
            for number, seed in enumerate(seeds):
                (corpus / f"seed-{number:03}").write_bytes(seed)
            atheris.Setup([sys.argv[0], *flags, str(corpus)], one, custom_mutator=mutate)
            atheris.Fuzz()
        else:
            _by_hypothesis(one, target.mutate, seeds, seconds)
    tally.write()


def _by_hypothesis(one: Any, mutate: Any, seeds: list[bytes], seconds: float) -> None:  # noqa: ANN401
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    end = time.monotonic() + seconds

    @settings(max_examples=5000, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.sampled_from(seeds), st.integers(0, 2**63), st.integers(1, 3))
    def step(seed: bytes, number: int, times: int) -> None:
        if time.monotonic() > end:
            return
        random = Random(number)  # noqa: S311
        for _ in range(times):
            seed = mutate(seed, random)[: 1 << 17]
        signal.alarm(_SLOWEST)
        one(seed)
        signal.alarm(0)

    while time.monotonic() < end:
        step()


def replay(names: list[str]) -> None:
    """Reads every kept seed of some targets, and prints two lines of JSON for each: before and after."""
    from benchmarks.fuzz.judge import Judge
    from benchmarks.fuzz.targets import ALL

    with scratch() as folder:
        judge = Judge(folder)
        for name in names:  # once each, so that what their libraries import is not counted
            judge(ALL[name], next(iter(seeds_of(name).values())))
        judge.limit()
        for name in names:
            for seed, content in seeds_of(name).items():
                print(json.dumps({"start": f"{name}/{seed}"}), flush=True)
                signal.alarm(_SLOWEST)
                verdict = judge(ALL[name], content)
                signal.alarm(0)
                print(json.dumps({"seed": f"{name}/{seed}", **verdict._asdict()}), flush=True)


def serve(engine: str) -> None:
    """Imports everything once, which takes a minute where it is instrumented, and forks for each line of its input."""
    if engine == "atheris":
        import atheris  # type: ignore[import-not-found]

        with atheris.instrument_imports(include=["sysu30k_bench", "tarfile", "pickletools", "tomllib"]):
            from benchmarks.fuzz import targets
    from benchmarks.fuzz import targets  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            log = os.open(f"{job['out']}/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            try:
                fuzz(job["name"], engine, job["seconds"], Path(job["out"]))
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    if "replay" in job:
        replay(job["replay"])
    else:
        serve(job["engine"])
