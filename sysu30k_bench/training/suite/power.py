"""How many planted bugs the suite finds, and how often it cries for nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sysu30k_bench.progress import Progress
from sysu30k_bench.training.ssl.recipe import METHODS, MethodName
from sysu30k_bench.training.suite.bugs import BUGS, EQUALS, planted
from sysu30k_bench.training.suite.lockstep import lockstep
from sysu30k_bench.training.suite.reference import DRAWS, REFERENCE_SEEDS, References
from sysu30k_bench.training.suite.signature import EMBEDDINGS, RETRIEVAL, TRAJECTORY, Signature, sign
from sysu30k_bench.training.suite.verdict import judge

WAYS = ("all", "lockstep", "statistics", "trajectory", "embeddings", "retrieval")
KINDS: dict[str, Sequence[str]] = {
    "statistics": (),
    "trajectory": TRAJECTORY,
    "embeddings": EMBEDDINGS,
    "retrieval": RETRIEVAL,
}
FIRST_NULL = DRAWS
"""Draws of heads from here on are new to the reference."""


@dataclass(frozen=True)
class Trial:
    """One verdict.

    Attributes:
        method: Which method.
        bug: What was planted, or which equal implementation it is, one of `EQUALS`.
        seeds: On which seeds.
        found: Whether it was found to deviate, by each set of figures.
        clearest: The figure that deviated most.
        seconds: CPU time.
    """

    method: MethodName
    bug: str
    seeds: tuple[int, ...]
    found: dict[str, bool]
    clearest: str
    seconds: float


def trials(
    references: References,
    progress: Progress,
    methods: Sequence[MethodName] = METHODS,
    *,
    seeds_each: int = 2,
    repeats: int = 2,
    nulls: int = 3,
) -> Iterator[Trial]:
    """Runs every bug, and as many equal implementations.

    Args:
        references: Made for these methods.
        progress: Told of runs.
        methods: Which methods.
        seeds_each: Runs of a candidate.
        repeats: Candidates with each bug, on seeds of their own.
        nulls: Equal implementations on each group of seeds.
    """
    groups = [
        tuple(REFERENCE_SEEDS[place : place + seeds_each])
        for place in range(0, len(REFERENCE_SEEDS) - seeds_each + 1, seeds_each)
    ]
    for method in methods:
        progress.begin(method, 0, "candidates")
        for number in range(nulls):
            for group, equal in zip(groups, itertools.cycle(EQUALS), strict=False):
                yield _trial(references, method, equal, group, heads=FIRST_NULL + number)
                progress.advance(1)
        for bug, (able, _) in BUGS.items():
            if method in able:
                for group in groups[:repeats]:
                    yield _trial(references, method, bug, group, heads=FIRST_NULL)
                    progress.advance(1)
        progress.end()


def _trial(references: References, method: MethodName, bug: str, seeds: tuple[int, ...], heads: int) -> Trial:
    began = time.process_time()
    factory = planted(bug) if bug in BUGS else EQUALS[bug]
    signatures: dict[int, Signature] = {}
    try:
        for seed in seeds:
            signatures[seed] = sign(method, factory, seed, heads)
    except (RuntimeError, ValueError, ArithmeticError) as error:  # a candidate that cannot run is found, too
        spent = time.process_time() - began
        return Trial(method, bug, seeds, dict.fromkeys(WAYS, True), type(error).__name__, spent)
    verdicts = {name: judge(signatures, references.of(method), kinds=kinds) for name, kinds in KINDS.items()}
    found = {name: not verdict.passed for name, verdict in verdicts.items()}
    beside = lockstep(method, factory, seeds[0], heads)
    found["lockstep"] = bool(beside and beside.step)
    found["all"] = found["lockstep"] or found["statistics"]
    worst = verdicts["statistics"].deviations
    clearest = worst[0].name if worst else "not finite" if verdicts["statistics"].broken else ""
    return Trial(method, bug, seeds, found, clearest, time.process_time() - began)


def table(done: Sequence[Trial]) -> str:
    """Returns the outcome as Markdown: a row for each bug, one for equal implementations, and the sums."""
    lines = [
        "| planted | candidates | found | by lockstep | by figures of runs | trajectory alone | embeddings alone "
        "| retrieval alone | missed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    planted_ones = [trial for trial in done if trial.bug in BUGS]
    for bug in BUGS:
        lines += _row(bug, [trial for trial in planted_ones if trial.bug == bug])
    lines += _row("**all bugs**", planted_ones)
    lines += _row("**none (false alarms)**", [trial for trial in done if trial.bug in EQUALS], missed=False)
    return "\n".join(lines)


def _row(title: str, some: Sequence[Trial], *, missed: bool = True) -> list[str]:
    if not some:
        return []
    counts = {name: sum(trial.found[name] for trial in some) for name in WAYS}
    lost = sorted({trial.method for trial in some if not trial.found["all"]}) if missed else []
    shares = " | ".join(f"{counts[name]} ({counts[name] / len(some):.1%})" for name in WAYS)
    return [f"| {title} | {len(some)} | {shares} | {', '.join(lost)} |"]
