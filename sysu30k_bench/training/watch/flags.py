"""What is wrong with a checkpoint, seen beside those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from sysu30k_bench.metrics.intervals import wilson
from sysu30k_bench.training.ssl.monitor import collapsed
from sysu30k_bench.training.watch.history import History, Row

FLAGS = ("nan", "collapse", "drop", "unreadable")
ALPHA = 0.01
MAX_DROP = 0.01
FALLEN = 0.5
HUB = 0.2
"""Share of the queries that one gallery image is the best match of, of which the interval's lower end is taken."""


def flags_of(
    figures: dict[str, float],
    ranks: pd.Series[float],
    history: History,
    *,
    max_drop: float = MAX_DROP,
    alpha: float = ALPHA,
) -> tuple[list[str], list[str]]:
    """Flags a checkpoint.

    Args:
        figures: As `watch.measure` gives them.
        ranks: Expected rank of each query's first match.
        history: Of the checkpoints before it.
        max_drop: A fall of AP, as a fraction, that passes even where it is significant.
        alpha: Chance that a checkpoint as good as the best before is flagged as a drop; shared out over all before it.

    Returns:
        Words of `FLAGS`, and sentences.
    """
    found: list[tuple[str, str]] = []
    if not figures.get("finite", 1.0):
        found.append(("nan", "features are not finite"))
    found += [("collapse", said) for said in _collapse(figures, len(ranks), history.rows)]
    dropped = _drop(figures, ranks, history, max_drop, alpha)
    if dropped:
        found.append(("drop", dropped))
    return list(dict.fromkeys(flag for flag, _ in found)), [said for _, said in found]


def _collapse(figures: dict[str, float], queries: int, before: Sequence[Row]) -> list[str]:
    said = []
    rankme = figures.get("rankme", math.nan)
    alone = collapsed(figures)
    if alone and figures.get("finite", 1.0):
        said.append(alone)
    highest = max((row.figures.get("rankme", 0.0) for row in before), default=0.0)
    if rankme < FALLEN * highest:
        said.append(f"RankMe fell to {rankme:.1f}, less than half of its highest, {highest:.1f}")
    share = figures.get("hub_share", 0.0)
    if share and wilson(share * queries, queries).low > HUB:  # of 20 queries a sound network may send 5 to one image
        said.append(f"one gallery image is the best match of {share:.0%} of the queries")
    return said


def _drop(figures: dict[str, float], ranks: pd.Series[float], history: History, max_drop: float, alpha: float) -> str:
    """Compares with the checkpoint of lowest mean log rank so far, query by query."""
    judged = [row for row in history.rows if math.isfinite(row.figures.get("log_rank", math.nan))]
    if not judged:
        return ""
    best = min(judged, key=lambda row: row.figures["log_rank"])
    theirs = history.ranks(best)
    if theirs is None:
        return ""
    pair = pd.concat([ranks.rename("ours"), theirs.rename("theirs")], axis=1, join="inner").dropna()
    change = np.log(pair["ours"].to_numpy()) - np.log(pair["theirs"].to_numpy())
    lost = best.figures["ap"] - figures["ap"]
    if len(change) < 2 or not np.ptp(change) or lost <= max_drop:
        return ""
    p = float(stats.ttest_1samp(change, 0.0, alternative="greater").pvalue)
    if p >= alpha / len(judged):
        return ""
    return (
        f"worse than {best.name}: ranks are {np.exp(change.mean()):.2f} times as deep (p = {p:.1g}, paired over "
        f"{len(change)} queries), AP is {lost * 100:.2f} points lower"
    )
