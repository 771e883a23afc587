"""How many planted bugs the suite finds, and how often it cries for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import stats

from sysu30k_bench.progress import Progress
from sysu30k_bench.training.ssl.recipe import METHODS, MethodName
from sysu30k_bench.training.suite.bugs import BUGS, planted
from sysu30k_bench.training.suite.equals import EQUALS
from sysu30k_bench.training.suite.lockstep import lockstep
from sysu30k_bench.training.suite.reference import DRAWS, REFERENCE_SEEDS, References
from sysu30k_bench.training.suite.signature import sign
from sysu30k_bench.training.suite.verdict import judge

WAYS = ("all", "lockstep", "figures")
FIRST_NULL = DRAWS
"""Draws of heads from here on are new to the reference."""


@dataclass(frozen=True)
class Trial:
    """One verdict.

    Attributes:
        method: Which method.
        bug: What was planted, or which equal implementation it is, one of `EQUALS`.
        seeds: On which seeds.
        found: Whether it was found to deviate, by each of `WAYS`; figures of runs are absent where the lockstep has
            found it already.
        clearest: The figure that deviated most, or what deviated in lockstep.
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
) -> Iterator[Trial]:
    """Runs every bug, and every equal implementation, each of these with first weights of the heads of its own.

    Args:
        references: Made for these methods.
        progress: Told of runs.
        methods: Which methods.
        seeds_each: Runs of a candidate.
        repeats: Candidates of each kind, on seeds of their own.
    """
    groups = [
        tuple(REFERENCE_SEEDS[place : place + seeds_each])
        for place in range(0, len(REFERENCE_SEEDS) - seeds_each + 1, seeds_each)
    ]
    for method in methods:
        progress.begin(method, 0, "candidates")
        for number, equal in enumerate(EQUALS):
            for group in groups[:repeats]:
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
    try:
        beside = lockstep(method, factory, seeds[0], heads)
        if beside is not None and beside.step:
            found, clearest = {"all": True, "lockstep": True}, f"{beside.what} of step {beside.step}"
        else:
            signatures = {seed: sign(method, factory, seed, heads) for seed in seeds}
            verdict = judge(signatures, references.of(method))
            found = {"all": not verdict.passed, "lockstep": False, "figures": not verdict.passed}
            clearest = verdict.deviations[0].name if verdict.deviations else "not finite" if verdict.broken else ""
    except (RuntimeError, ValueError, ArithmeticError) as error:  # a candidate that cannot run is found, too
        found, clearest = dict.fromkeys(WAYS, True), type(error).__name__
    return Trial(method, bug, seeds, found, clearest, time.process_time() - began)


def table(done: Sequence[Trial]) -> str:
    """Returns the outcome as Markdown: a row for each bug, one for equal implementations, the sums and intervals."""
    lines = [
        "| planted | candidates | found | in lockstep | at step | of the others, by figures of runs "
        "| missed, or flagged for nothing |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    planted_ones = [trial for trial in done if trial.bug in BUGS]
    for bug in BUGS:
        lines += _row(bug, [trial for trial in planted_ones if trial.bug == bug])
    lines += _row("**all bugs**", planted_ones)
    equal_ones = [trial for trial in done if trial.bug in EQUALS]
    lines += [*_row("**none (false alarms)**", equal_ones, planted=False), ""]
    lines += _interval("bugs found", planted_ones) + _interval("false alarms", equal_ones)
    return "\n".join(lines)


def _interval(title: str, some: Sequence[Trial]) -> list[str]:
    if not some:
        return []
    count = sum(trial.found["all"] for trial in some)
    ends = stats.binomtest(count, len(some)).proportion_ci()
    return [f"{title}: {count} of {len(some)}, 95 % interval {ends.low:.1%} to {ends.high:.1%} (Clopper and Pearson)"]


def _row(title: str, some: Sequence[Trial], *, planted: bool = True) -> list[str]:
    if not some:
        return []
    locked = [trial for trial in some if trial.found["lockstep"]]
    others = [trial for trial in some if not trial.found["lockstep"]]
    counts = [sum(trial.found["all"] for trial in some), len(locked)]
    shares = " | ".join(f"{count} ({count / len(some):.1%})" for count in counts)
    steps = sorted({int(trial.clearest.rpartition(" ")[2]) for trial in locked if " of step " in trial.clearest})
    when = "" if not steps else f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    figures = f"{sum(trial.found['all'] for trial in others)} of {len(others)}" if others else ""
    wrong = [trial for trial in some if trial.found["all"] != planted]
    lost = "; ".join(sorted({trial.method if planted else f"{trial.method}, {trial.bug}" for trial in wrong}))
    return [f"| {title} | {len(some)} | {shares} | {when} | {figures} | {lost} |"]
