"""The figures of a report, as SVG to be put into the page."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pandas as pd

from sysu30k_bench.extras import missing_package
from sysu30k_bench.metrics.scaling import scaling_curve
from sysu30k_bench.results.ranked_run import RankedRun

_COLOUR, _OTHER = "#1f6f8b", "#b5651d"
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
    axis.axvline(0, color="#222222", linewidth=0.8)
    return _svg(figure)


def _figure(across: str, up: str) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("reports need matplotlib", "matplotlib") from error
    figure = Figure(figsize=(4.6, 3.0), layout="constrained")
    axis = figure.subplots()
    axis.set(xlabel=across, ylabel=up)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _svg(figure: Any) -> str:  # noqa: ANN401  matplotlib's figure
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue().decode("utf-8")
    found = re.search(r"<svg.*</svg>", text, re.DOTALL)
    return found[0] if found else ""
