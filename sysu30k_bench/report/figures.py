"""The figures of a report, as SVG to be put into the page: one run, or two beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sysu30k_bench.metrics.open_set.rates import FEWEST
from sysu30k_bench.report.axes import COLOURS, TEXT, draw, label, legend
from sysu30k_bench.report.bands import Band, cmc_band, det_band, scaling_band
from sysu30k_bench.results.ranked_run import RankedRun

_POINTS, _BINS = 60, 40
_MARKED = (1, 10)


def cmc(runs: Sequence[RankedRun]) -> str:
    """Draws the share of queries whose first match is at rank k or better, with Wilson's band."""
    most = max(10, *(int(run.ranked.max()) for run in runs))

    def fill(axis: Any) -> None:  # noqa: ANN401  matplotlib's axes
        for run, colour in zip(runs, COLOURS, strict=False):
            band = cmc_band(run.per_query["pessimistic"].to_numpy(float), _whole(most))
            _band(axis, band, colour, run.name, steps=True)
        axis.set_xlim(1, most)
        _finish(axis, runs, "lower right")

    return draw("rank", "queries found, %", fill)


def scaling(runs: Sequence[RankedRun]) -> str:
    """Draws rank-1 against the size of the gallery, with a band over queries."""
    most = max(int(run.ranked.min()) for run in runs)

    def fill(axis: Any) -> None:  # noqa: ANN401  matplotlib's axes
        for run, colour in zip(runs, COLOURS, strict=False):
            first = run.per_query["pessimistic"].fillna(0).to_numpy()
            _band(axis, scaling_band(first, run.ranked.to_numpy(), _whole(int(run.ranked.min()))), colour, run.name)
        axis.set_xlim(1, max(most, 2))
        _finish(axis, runs, "lower left")

    return draw("images in the gallery", "rank-1, %", fill)


def det(runs: Sequence[RankedRun]) -> str:
    """Draws misses against false alarms, both by the threshold; where fewer than ten searches alarm, dotted."""

    def fill(axis: Any) -> None:  # noqa: ANN401  matplotlib's axes
        least = 0.1
        for run, colour in zip(runs, COLOURS, strict=False):
            if run.searches is None or not run.searches.with_mate.any() or not run.searches.without_mate.any():
                continue
            alarms = int(run.searches.without_mate.sum())
            least = min(least, 1 / alarms)
            rates = _whole(alarms) / alarms
            band = det_band(run.searches.mated, run.searches.other, rates)
            few = rates * alarms < FEWEST
            axis.plot(100 * rates[few], 100 * band.value[few], ":", color=colour, linewidth=2)
            _band(axis, Band(*(part[~few] for part in band)), colour, run.name)
        for mark in _MARKED:
            axis.axvline(mark, color=TEXT, linewidth=0.6, linestyle="--", alpha=0.5)
        axis.set_xlim(100 * least, 100)
        _finish(axis, runs, "lower left")

    return draw("searches without their match that alarm (FPIR), %", "matches missed (FNIR), %", fill)


def margins(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> str:
    """Draws the margins of matches: their score less that of the best image of another person.

    Args:
        tables: A ranking for each run.
        names: Of the runs.
    """
    values = [table.loc[table["match"] != "", "margin"].dropna().to_numpy(float) for table in tables]
    values = [one[np.isfinite(one)] for one in values]
    together = np.concatenate(values)

    def fill(axis: Any) -> None:  # noqa: ANN401  matplotlib's axes
        if len(together):
            edges = np.histogram_bin_edges(together, bins=_BINS)
            first = values[0]
            if len(values) == 1:
                axis.hist(
                    [first[first > 0], first[first <= 0]],
                    bins=edges,
                    stacked=True,
                    color=list(COLOURS),
                    label=[" before every impostor", " behind one"],
                )
            else:
                axis.hist(first, bins=edges, color=COLOURS[0], alpha=0.55, label=label(names[0]))
                axis.hist(values[1], bins=edges, color=COLOURS[1], histtype="step", linewidth=2, label=label(names[1]))
            legend(axis, "upper left")
        axis.axvline(0, color=TEXT, linewidth=0.8)

    return draw("margin: the match's score less the best impostor's", "matches", fill, log=False)


def _whole(most: int) -> np.ndarray:
    """Whole numbers from 1 to `most`, in steps of nearly equal ratio."""
    return np.unique(np.geomspace(1, max(most, 1), _POINTS).round().astype(int))


def _band(axis: Any, band: Band, colour: str, name: str, *, steps: bool = False) -> None:  # noqa: ANN401
    where = {"step": "post"} if steps else {}
    axis.fill_between(band.at * _unit(band), 100 * band.low, 100 * band.high, color=colour, alpha=0.22, lw=0, **where)
    style = {"drawstyle": "steps-post"} if steps else {}
    axis.plot(band.at * _unit(band), 100 * band.value, color=colour, linewidth=2, label=label(name), **style)


def _unit(band: Band) -> int:
    """Rates are drawn in per cent, ranks and sizes as they are."""
    return 100 if np.issubdtype(band.at.dtype, np.floating) else 1


def _finish(axis: Any, runs: Sequence[RankedRun], where: str) -> None:  # noqa: ANN401  matplotlib's axes
    axis.set_ylim(0, 100)
    if len(runs) > 1 and axis.get_legend_handles_labels()[0]:
        legend(axis, where)
