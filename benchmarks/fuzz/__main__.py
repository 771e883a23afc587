"""Fuzzes every reader of the package: `python -m benchmarks.fuzz --minutes 1`.

Each target runs in processes of its own, under limits of time and memory and an audit hook. What breaks a promise is
kept in the output folder; `--keep` also makes it a seed, which `tests/fuzz` reads ever after.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.fuzz.kept import SEEDS, keep


def main() -> int:
    """Runs the targets one after the other, and prints a line for each."""
    known = sorted(path.name for path in SEEDS.iterdir() if path.is_dir())
    atheris = importlib.util.find_spec("atheris") is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=known, metavar="NAME", help=f"one of {', '.join(known)}")
    parser.add_argument("--engine", choices=["atheris", "hypothesis"], default="atheris" if atheris else "hypothesis")
    parser.add_argument(
        "--output", type=Path, default=Path("build/fuzz"), help="folder for what is found (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="make seeds of what breaks a promise")
    options = parser.parse_args()
    server, broken = Server(options.engine), 0
    print(
        f"{'target':<14} {'inputs':>9} {'read':>8} {'refused':>8} {'violations':>10} {'coverage':>9} ({options.engine})"
    )
    for name in options.only or known:
        found = run(server, name, options.minutes * 60, options.output / name)
        counts, covered = found["counts"], found["coverage"] or "-"
        violations = {kind: count for kind, count in counts.items() if kind not in {"read", "refused"}}
        broken += sum(violations.values())
        said = ", ".join(f"{count} {kind}" for kind, count in violations.items()) or "0"
        print(
            f"{name:<14} {counts.total():>9,} {counts['read']:>8,} {counts['refused']:>8,} {said:>10} {covered:>9}",
            flush=True,
        )
        for kind, file in found["kinds"].items():
            print(f"    {kind}  [{options.output / name / file}]", flush=True)
            if options.keep:
                keep(name, f"found-{file}", (options.output / name / file).read_bytes())
    return 1 if broken else 0


Result = dict[str, dict[str, int] | dict[str, str] | str]


class Server:
    """The process that has everything imported, and forks another for each run.

    Args:
        engine: `atheris` or `hypothesis`.
    """

    def __init__(self, engine: str) -> None:
        words = [sys.executable, "-m", "benchmarks.fuzz.worker", json.dumps({"engine": engine})]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(  # noqa: S603  this Python
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **threads},
        )

    def __call__(self, **job: object) -> int:
        """Runs a job, and returns how its process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["code"])


def run(server: Server, name: str, seconds: float, out: Path) -> Result:
    """Fuzzes a target, in a new process after each one that an input ends.

    Returns:
        `counts` by outcome, `kinds` of violations with their files, and `coverage`: edges of the package's bytecode.
    """
    out.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    kinds: dict[str, str] = {}
    coverage = ""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 1:
        for name_of in ("tally.json", "current"):
            (out / name_of).unlink(missing_ok=True)
        code = server(name=name, seconds=left, out=str(out))
        tally, log = out / "tally.json", (out / "log").read_text(errors="replace")
        told = json.loads(tally.read_text()) if tally.is_file() else {"counts": {}, "found": {}}
        counts.update(told["counts"])
        kinds |= told["found"]
        edges = re.findall(r"\bcov: (\d+)", log)
        coverage = edges[-1] if edges else coverage
        if code == 0:
            break
        ended = f"ends the process ({code})"
        counts["crash"] += 1
        if (out / "current").is_file():
            kinds[ended] = f"crash-{len(kinds)}"
            (out / "current").rename(out / kinds[ended])
        else:
            kinds[ended] = "log"
            break
    return {"counts": counts, "kinds": kinds, "coverage": coverage}


if __name__ == "__main__":
    sys.exit(main())
