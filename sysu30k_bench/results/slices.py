"""A metric by parts of the queries: its value in each, and a test of each part against all others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from scipy import stats

from sysu30k_bench.errors import UsageError
from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.metrics.holm import holm
from sysu30k_bench.metrics.intervals import bootstrap_mean, wilson
from sysu30k_bench.metrics.open_set.points import contributions
from sysu30k_bench.results.ranked_run import RankedRun

NO_VALUE = "(no value)"
MOST = 100
_PERMUTATIONS = 9_999
_SEED = 30_003


class Slice(BaseModel):
    """A part of the queries.

    Attributes:
        label: Its value, or the ends of its bin.
        n: Queries of it that the metric counts.
        value: Mean over them.
        low: Lower end of the 95 % interval; of an open-set metric at the threshold as it is.
        high: Upper end.
        difference: To the mean over all other queries; None where there are none.
        p: Of that difference, two-sided: Fisher's exact test where a query is a hit or none, else a permutation test.
        p_holm: The same, corrected for all slices (Holm, 1979).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    n: int
    value: float
    low: float
    high: float
    difference: float | None
    p: float | None
    p_holm: float | None


def in_bins(column: pd.Series, bins: int) -> pd.Series:
    """Names the part of every query: its value, or its quantile bin where the values are many numbers.

    Args:
        column: A value a query; empty text and NaN are none.
        bins: Bins of about equal numbers of queries; fewer where values repeat.

    Returns:
        Ordered categories, in the order of the values.

    Raises:
        UsageError: There are over a hundred values that are no numbers.
    """
    text = column.astype("string").str.strip()
    known = text.notna() & (text != "")
    numbers = pd.to_numeric(text.where(known), errors="coerce").astype(float)
    finite = np.isfinite(numbers)
    if known.any() and finite[known].all() and numbers[known].nunique() > bins:
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, bins + 1)))
        place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
        names = [f"{low:.6g} to {high:.6g}" for low, high in pairwise(edges)]
        labels = pd.Series([names[one] for one in place], index=column.index).where(known, NO_VALUE)
        order = names
    else:
        labels = text.where(known, NO_VALUE).astype(str)
        order = sorted(set(labels[known]), key=_by_number)
    if len(order) > MOST:
        raise UsageError(
            f"{len(order):,} slices are too few or too many", hint=f"bring a column of {MOST} values at most"
        )
    return labels.astype(
        pd.CategoricalDtype([*dict.fromkeys(order), *([] if known.all() else [NO_VALUE])], ordered=True)
    )


def slices(run: RankedRun, parts: pd.Series, metric: str = "rank1") -> list[Slice]:
    """Computes a metric in every part of the queries.

    Args:
        run: The run.
        parts: Part of every query, by key, as `in_bins` gives it.
        metric: One of `metrics.catalogue.METRICS`; of rank-k every tie is against the match.

    Raises:
        UsageError: The run does not have this metric.
    """
    values, whole = _values(run, metric)
    labels = parts.reindex(run.per_query.index)
    counted = ~np.isnan(values)
    found = []
    for label in parts.cat.categories:
        inside = (labels == label).to_numpy() & counted
        if not inside.any():
            continue
        mine, others = values[inside], values[~inside & counted]
        interval = wilson(float(mine.sum()), len(mine)) if whole else bootstrap_mean(mine)
        p = _difference(mine, others, whole=whole) if len(others) else None
        change = float(mine.mean() - others.mean()) if len(others) else None
        found.append((str(label), len(mine), interval, change, p))
    corrected = iter(holm([p for *_, p in found if p is not None]))
    return [
        Slice(
            label=label,
            n=n,
            **interval._asdict(),
            difference=change,
            p=p,
            p_holm=None if p is None else next(corrected),
        )
        for label, n, interval, change, p in found
    ]


def _values(run: RankedRun, metric: str) -> tuple[np.ndarray, bool]:
    """What every query contributes, and whether that is all or nothing."""
    info = METRICS[metric]
    if info.source == "open set":
        found = contributions(run.searches, metric) if run.searches is not None else "it has no scores"
        if isinstance(found, str):
            raise UsageError(f"{run.name} has no {info.title}: {found}")
        return found, bool(np.isin(found[~np.isnan(found)], (0, 1)).all())
    if metric.startswith("rank"):
        return (run.per_query["pessimistic"].to_numpy() <= int(metric[4:])).astype(float), True
    return run.per_query[metric].to_numpy(), False


def _difference(mine: np.ndarray, others: np.ndarray, *, whole: bool) -> float:
    if whole:
        table = [[int(part.sum()), int(len(part) - part.sum())] for part in (mine, others)]
        return float(stats.fisher_exact(table).pvalue)
    if np.ptp(np.concatenate([mine, others])) == 0:
        return 1.0
    found = stats.permutation_test(
        (mine, others),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        n_resamples=_PERMUTATIONS,
        vectorized=True,
        batch=max(1, 4_000_000 // (len(mine) + len(others))),
        rng=np.random.default_rng(_SEED),
    )
    return float(found.pvalue)


def _by_number(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
