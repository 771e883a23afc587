"""The gate of a training project: is this run no worse than the last one, by more than may be?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sysu30k_bench.errors import UsageError
from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.metrics.open_set.points import contributions, paired_spread
from sysu30k_bench.metrics.paired import lowest_difference
from sysu30k_bench.results.compare import Difference, mcnemar, paired_difference
from sysu30k_bench.results.ranked_run import RankedRun, aligned
from sysu30k_bench.words import count

Outcome = Literal["passed", "worse", "not shown"]


class Predicted(BaseModel):
    """Rank-1 in the whole gallery, predicted from a part of it (see `metrics.extrapolation`).

    Attributes:
        gallery: Images in the whole gallery.
        rank1: Of the candidate, every tie against it.
        low: Lower end of its 95 % interval.
        high: Upper end.
        hindsight: What the same prediction from a smaller part was off by.
        baseline: Rank-1 of the baseline in the whole gallery, known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: int
    rank1: float
    low: float
    high: float
    hindsight: float
    baseline: float

    @property
    def summary(self) -> str:
        """The prediction in a sentence."""
        return (
            f"in the whole gallery of {self.gallery:,} rank1 is predicted to be {self.rank1 * 100:.1f} % "
            f"({self.low * 100:.1f} to {self.high * 100:.1f}); the baseline has {self.baseline * 100:.1f} %"
        )


class Verdict(BaseModel):
    """The verdict of a gate.

    Attributes:
        outcome: `passed`: a drop of more than `max_drop` is ruled out at level `alpha`. `worse`: the estimate itself
            has dropped by more. `not shown`: the estimate is within bounds, and this many queries cannot rule a larger
            drop out.
        metric: What was compared.
        run: The candidate.
        baseline: The run that it is compared with.
        n: Queries.
        run_value: Of the candidate; for rank-k the share of hits with every tie against the match.
        baseline_value: Of the baseline, likewise.
        difference: Candidate less baseline.
        bound: One-sided lower bound of the difference at level `alpha`: Tango's score bound, for metrics that are no
            shares of hits with parts of queries won and lost, and then the lower of it and of a paired bootstrap.
        max_drop: The largest drop that may be.
        alpha: Chance of passing a run that is worse by just that much.
        lost: Queries that the baseline alone has at rank 1.
        won: Queries that the candidate alone has.
        p: Exact McNemar test of those two.
        reason: The verdict in a sentence.
        gallery: Images ranked for a query, the fewest.
        predicted: What the whole gallery would say, where a part was searched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome
    metric: str
    run: str
    baseline: str
    n: int
    run_value: float
    baseline_value: float
    difference: float
    bound: float
    max_drop: float
    alpha: float
    lost: list[str] = Field(repr=False)
    won: list[str] = Field(repr=False)
    p: float
    reason: str
    gallery: int
    predicted: Predicted | None = None

    @property
    def passed(self) -> bool:
        """Whether the build may continue."""
        return self.outcome == "passed"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"


def gate(
    run: RankedRun, baseline: RankedRun, *, max_drop: float, alpha: float = 0.05, metric: str = "rank1"
) -> Verdict:
    """Tests non-inferiority, paired by query.

    Args:
        run: The candidate.
        baseline: The run that it is compared with.
        max_drop: The largest drop that may be, as a fraction.
        alpha: Chance of passing a run that is worse by just that much.
        metric: One of `metrics.catalogue.METRICS`. Of one that is better lower, such as `fnir_at_fpir1`, the drop is a
            rise, and `difference` and `bound` are gains: the fall of the rate.

    Raises:
        UsageError: The runs are not of the same lists, a number makes no sense, or too few searches set the threshold
            of an open-set metric.
    """
    if metric not in METRICS:
        raise UsageError(f"there is no metric {metric!r}", hint=", ".join(METRICS))
    if not 0 <= max_drop < 1 or not 0 < alpha < 0.5:
        raise UsageError(
            f"max_drop is {max_drop:g} and alpha {alpha:g}; they are fractions, below 1 and below 0.5",
            hint="max_drop=0.01 allows a drop of one point",
        )
    held, candidate = aligned([baseline, run])
    info = METRICS[metric]
    before, after = _contributions(held, metric), _contributions(candidate, metric)
    gain = (after - before) * (1 if info.better == "higher" else -1)
    change = _change(held, candidate, gain, metric, 1 - 2 * alpha)
    bound = lowest_difference(float(gain.clip(0).sum()), float(-gain.clip(None, 0).sum()), len(gain), alpha)
    if not metric.startswith("rank"):  # its differences are no whole queries, or its threshold is estimated
        bound = min(bound, change.low)
    keys = held.per_query.index.to_numpy()
    outcome: Outcome = "passed" if bound > -max_drop else "worse" if change.value < -max_drop else "not shown"
    return Verdict(
        outcome=outcome,
        metric=metric,
        run=run.name,
        baseline=baseline.name,
        n=len(before),
        run_value=float(after.mean()),
        baseline_value=float(before.mean()),
        difference=change.value,
        bound=bound,
        max_drop=max_drop,
        alpha=alpha,
        lost=keys[held.hit & ~candidate.hit].tolist(),
        won=keys[candidate.hit & ~held.hit].tolist(),
        p=mcnemar(held.hit, candidate.hit),
        reason=_reason(outcome, metric, change.value, bound, max_drop, alpha, len(before)),
        gallery=int(candidate.ranked.min()),
    )


def _contributions(run: RankedRun, metric: str) -> np.ndarray:
    """What each query adds: for rank-k whether it is a hit with every tie against it, so that it is all or nothing."""
    if METRICS[metric].source == "open set":
        return _mated(run, metric)
    if metric.startswith("rank"):
        return (run.per_query["pessimistic"].to_numpy() <= int(metric[4:])).astype(float)
    return run.per_query[metric].to_numpy()


def _mated(run: RankedRun, metric: str) -> np.ndarray:
    """Contributions of mated searches at the run's own threshold."""
    found = contributions(run.searches, metric) if run.searches is not None else "it has no scores"
    if isinstance(found, str):
        raise UsageError(f"{run.name} has no {METRICS[metric].title}: {found}")
    kept: np.ndarray = found[~np.isnan(found)]
    return kept


def _change(held: RankedRun, candidate: RankedRun, gain: np.ndarray, metric: str, level: float) -> Difference:
    """The gain with its interval: of an open-set metric with both thresholds found again in every resample."""
    if METRICS[metric].source == "ranks" or held.searches is None or candidate.searches is None:
        return paired_difference(np.zeros(len(gain)), gain, level=level)
    found = paired_spread(held.searches, candidate.searches, metric, level)
    if isinstance(found, str):
        raise UsageError(f"{METRICS[metric].title} cannot be compared: {found}")
    ends = sorted((METRICS[metric].gain(found.low), METRICS[metric].gain(found.high)))
    return Difference(value=METRICS[metric].gain(found.value), low=ends[0], high=ends[1])


def _reason(outcome: Outcome, metric: str, value: float, bound: float, max_drop: float, alpha: float, n: int) -> str:
    value = METRICS[metric].gain(value)
    said = f"{metric} changed by {value * 100:+.2f} points over {count(n, 'query', 'queries')}"
    limit = f"{max_drop * 100:.2f} points"
    if outcome == "passed":
        return f"{said}; a drop of more than {limit} is ruled out (bound {bound * 100:+.2f}, alpha {alpha:g})"
    if outcome == "worse":
        return f"{said}: more than the limit of {limit}"
    return (
        f"{said}, and a drop of more than {limit} cannot be ruled out (bound {bound * 100:+.2f}, alpha {alpha:g}): "
        "use more queries or a larger --max-drop"
    )
