"""The figures of a report, as SVG to be put into the page."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pandas as pd

from sysu30k_bench.extras import missing_package
from sysu30k_bench.metrics.open_set.rates import FEWEST, det_curve
from sysu30k_bench.metrics.scaling import scaling_curve
from sysu30k_bench.results.ranked_run import RankedRun

_COLOUR, _OTHER = "#2f8fb3", "#d0762a"
_TEXT = "#010203"
"""Stands for the colour of the page's text, in light and in dark."""
_POINTS = 40


def cmc(run: RankedRun, other: RankedRun | None = None) -> str:
    """Draws the share of queries whose first match is at rank k or better, k up to 100."""
    figure, axis = _figure("rank", "queries, %")
    ranks = np.arange(1, 101)
    for one, colour in ((run, _COLOUR), *(((other, _OTHER),) if other else ())):
        first = one.per_query["pessimistic"].fillna(np.inf).to_numpy()
        axis.plot(ranks, [100 * (first <= rank).mean() for rank in ranks], color=colour, label=f" {one.name}")
    axis.set_xscale("log")
    axis.set_ylim(0, 100)
    if other:
        for text in axis.legend(frameon=False).get_texts():
            text.set_parse_math(False)
            text.set_color(_TEXT)
    return _svg(figure)


def rank_histogram(run: RankedRun) -> str:
    """Draws how many queries have their first match at which rank, in bins of equal ratio."""
    figure, axis = _figure("rank of the first match", "queries")
    first = run.per_query["pessimistic"].dropna().to_numpy()
    most = max(float(run.ranked.max()), 10.0)
    edges = np.unique(np.geomspace(1, most + 1, 25).round())
    axis.hist(first, bins=edges, color=_COLOUR)
    axis.set_xscale("log")
    return _svg(figure)


def scaling(run: RankedRun) -> str:
    """Draws rank-1 against the size of the gallery."""
    figure, axis = _figure("gallery", "rank-1, %")
    largest = int(run.ranked.min())
    sizes = np.unique(np.geomspace(1, largest, _POINTS).round().astype(int))
    first = run.per_query["pessimistic"].fillna(0).to_numpy()
    axis.plot(sizes, 100 * scaling_curve(first, run.ranked.to_numpy(), sizes), color=_COLOUR)
    axis.set_xscale("log")
    axis.set_ylim(0, 100)
    return _svg(figure)


def margins(table: pd.DataFrame) -> str:
    """Draws how far matches lie before the best image of somebody else, or behind it (negative)."""
    figure, axis = _figure("margin", "matches")
    values = table.loc[table["match"] != "", "margin"].dropna().to_numpy()
    won = values > 0
    if len(values):
        edges = np.histogram_bin_edges(values, bins=40)
        axis.hist([values[won], values[~won]], bins=edges, stacked=True, color=[_COLOUR, _OTHER])
    axis.axvline(0, color=_TEXT, linewidth=0.8)
    return _svg(figure)


def det(run: RankedRun, other: RankedRun | None = None) -> str:
    """Draws misses against false alarms, both by the threshold; where fewer than ten searches alarm, dotted."""
    figure, axis = _figure("FPIR, %", "FNIR, %")
    for one, colour in ((run, _COLOUR), *(((other, _OTHER),) if other else ())):
        if one.searches is None or not one.searches.with_mate.any() or not one.searches.without_mate.any():
            continue
        searches = one.searches
        curve = det_curve(searches.mated[searches.with_mate], searches.other[searches.without_mate])
        few = curve.fpir * int(searches.without_mate.sum()) < FEWEST
        shown = curve.fpir > 0
        label = f" {one.name}"
        axis.step(100 * curve.fpir[shown & few], 100 * curve.fnir[shown & few], ":", where="post", color=colour)
        axis.step(100 * curve.fpir[~few], 100 * curve.fnir[~few], where="post", color=colour, label=label)
    axis.set_xscale("log")
    axis.set_ylim(0, 100)
    if other:
        for text in axis.legend(frameon=False).get_texts():
            text.set_parse_math(False)
    return _svg(figure)


def _figure(across: str, up: str) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("reports need matplotlib", "matplotlib") from error
    figure = Figure(figsize=(4.6, 3.0), layout="constrained")
    axis = figure.subplots()
    figure.patch.set_alpha(0)
    axis.patch.set_alpha(0)
    axis.set_xlabel(across, color=_TEXT)
    axis.set_ylabel(up, color=_TEXT)
    axis.tick_params(colors=_TEXT, which="both")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["bottom", "left"]].set_color(_TEXT)
    return figure, axis


def _svg(figure: Any) -> str:  # noqa: ANN401  matplotlib's figure
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = re.sub(rf"(?<=: ){_TEXT}", "currentColor", out.getvalue().decode("utf-8"))
    found = re.search(r"<svg.*</svg>", text, re.DOTALL)
    return found[0] if found else ""
