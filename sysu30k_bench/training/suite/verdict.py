"""Is a candidate like the reference? Paired differences against the spread that equal implementations have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sysu30k_bench.training.suite.signature import Signature

ALPHA = 0.01
_FLOOR = 1e-4


@dataclass(frozen=True)
class Deviation:
    """One figure.

    Attributes:
        name: Which.
        difference: Candidate less reference, mean over seeds.
        spread: Standard deviation of that mean among equal implementations.
        p: Two-sided, not corrected.
    """

    name: str
    difference: float
    spread: float
    p: float


@dataclass(frozen=True)
class Verdict:
    """What the suite says of a candidate.

    Attributes:
        passed: Whether nothing deviates.
        deviations: Every figure that does, the clearest first.
        p: Of the clearest, corrected for all figures (Bonferroni); 0 where a run broke.
        broken: Figures that are NaN or infinite.
        lockstep: What ten steps beside the reference from the same weights found (see `suite.lockstep`); empty where
            nothing.
        locked: Whether those steps could be compared.
    """

    passed: bool
    deviations: list[Deviation]
    p: float
    broken: list[str]
    lockstep: str = ""
    locked: bool = False

    @property
    def reason(self) -> str:
        """The verdict in a sentence."""
        if self.lockstep:
            return self.lockstep
        if self.broken:
            return f"the run broke: {', '.join(self.broken)} not finite"
        if self.passed:
            also = "; ten steps from the same weights equal the reference's up to rounding" if self.locked else ""
            return f"not significantly different from the reference (p = {self.p:.2g} over all figures){also}"
        worst = self.deviations[0]
        times = abs(worst.difference) / worst.spread if worst.spread else math.inf
        names = ", ".join(one.name for one in self.deviations)
        return f"{worst.name} differs by {worst.difference:+.3g}, {times:.1f} times its spread; altogether: {names}"


def judge(
    candidate: dict[int, Signature],
    reference: dict[int, Sequence[Signature]],
    *,
    alpha: float = ALPHA,
    kinds: Sequence[str] = (),
) -> Verdict:
    """Compares a candidate with the reference, seed by seed.

    For each figure, the candidate's mean difference to the reference of the same seed (equal data, views and trunk,
    mean over the reference's draws of everything else) is divided by the spread that such a difference has between two
    runs of the reference, and referred to Student's distribution. A bug in training is judged by the spread between
    runs, not between queries: two right runs differ significantly on their queries.

    Args:
        candidate: Figures by seed.
        reference: At least two runs for each of at least three seeds, those of the candidate among them.
        alpha: Chance of a false alarm over all figures.
        kinds: Only figures of these kinds, such as `retrieval`; all where empty.
    """
    names = [
        name
        for name in next(iter(next(iter(reference.values()))))
        if (not kinds or name.partition(".")[0] in kinds) and all(name in one for one in candidate.values())
    ]
    broken = [name for name in names if not all(math.isfinite(one[name]) for one in candidate.values())]
    if broken:
        return Verdict(passed=False, deviations=[], p=0.0, broken=broken)
    found = [_deviation(name, candidate, reference) for name in names]
    least = min((one.p for one in found), default=1.0) * len(found)
    beyond = sorted((one for one in found if one.p * len(found) < alpha), key=_by_size)
    return Verdict(passed=not beyond, deviations=beyond, p=min(1.0, least), broken=[])


def _by_size(one: Deviation) -> tuple[float, float]:
    return one.p, -abs(one.difference) / one.spread if one.spread else -math.inf


def _deviation(name: str, candidate: dict[int, Signature], reference: dict[int, Sequence[Signature]]) -> Deviation:
    runs = {seed: np.array([one[name] for one in several]) for seed, several in reference.items()}
    freedom = sum(len(several) - 1 for several in runs.values())
    variance = sum(float(((several - several.mean()) ** 2).sum()) for several in runs.values()) / freedom
    level = float(np.mean([abs(several.mean()) for several in runs.values()]))
    variance = max(variance, (_FLOOR * level) ** 2, 1e-16)  # rounding on another machine is no difference
    differences = [one[name] - runs[seed].mean() for seed, one in candidate.items()]
    doubt = sum(variance * (1 + 1 / len(runs[seed])) for seed in candidate) / len(candidate) ** 2
    difference, spread = float(np.mean(differences)), math.sqrt(doubt)
    return Deviation(name, difference, spread, float(2 * stats.t.sf(abs(difference) / spread, freedom)))
