"""Rank-1 against the size of the gallery, over all rows, as SVG that takes the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import numpy as np

from sysu30k_bench.board.rows import Row
from sysu30k_bench.extras import missing_package
from sysu30k_bench.metrics.scaling import scaling_curve
from sysu30k_bench.results.ranked_run import RankedRun

_SMALLEST, _POINTS = 100, 60
_TEXT, _FAINT = "#010203", "#040506"
_CURVES = ("#2f8fd0", "#d9722e", "#1fa37a", "#c46fa0", "#a88410", "#7d86e0")
_LABEL_GAP, _LINE = 1.0, 0.19
_LONGEST = 22


def scaling_plot(rows: list[Row], evidence: Mapping[str, RankedRun], gallery: int) -> str:
    """Draws a curve for every row whose ranks are known, and a faint point for each of the others.

    Args:
        rows: Best first.
        evidence: Rankings by id.
        gallery: Images in the gallery of the test.

    Returns:
        An `svg` element; its text and axes have the colour of the page's text.

    Raises:
        DataError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, NullFormatter
    except ImportError as error:
        raise missing_package("the site's plot needs matplotlib", "matplotlib") from error
    smallest = min(_SMALLEST, max(2, gallery // _POINTS))  # of a practice board's small gallery, a curve has room
    # text stays text, and equal rows give equal bytes
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sysu30k-bench", "font.size": 10.5}):
        backed = [row for row in rows if row.id in evidence]
        figure = Figure(figsize=(8.2, max(4.4, 1.2 + _LINE * len(backed))), layout="constrained")
        figure.patch.set_alpha(0)
        axis = figure.subplots()
        axis.patch.set_alpha(0)
        axis.set_xscale("log")
        axis.set_xlim(smallest, gallery * 1.02)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("images in the gallery", color=_TEXT)
        axis.set_ylabel("rank-1, %", color=_TEXT)
        axis.tick_params(colors=_TEXT, which="both")
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["bottom", "left"]].set_color(_TEXT)
        axis.grid(axis="y", color=_FAINT, linewidth=0.5)
        sizes = np.unique(np.geomspace(smallest, gallery, _POINTS).round().astype(int))
        axis.plot(sizes, 100 / sizes, ":", color=_TEXT, linewidth=1)
        colours = {one: _CURVES[number % len(_CURVES)] for number, one in enumerate(evidence)}
        for row in rows:
            colour = colours.get(row.id, _TEXT)
            known = row.id in evidence
            size = int(evidence[row.id].ranked.max()) if known else gallery
            axis.plot(size, row.rank1 * 100, "o", color=colour, markersize=5 if known else 3, alpha=1 if known else 0.5)
            if known:
                run = evidence[row.id]
                mine = sizes[sizes <= int(run.ranked.min())]
                first = run.per_query["pessimistic"].fillna(0).to_numpy()
                axis.plot(mine, 100 * scaling_curve(first, run.ranked.to_numpy(), mine), color=colour, linewidth=1.6)
        axis.set_ylim(0, top := 100.0)
        gap = min(_LABEL_GAP * top / 25, top / max(len(backed), 1))
        for row, height in zip(backed, _spread([row.rank1 * 100 for row in backed], gap, top), strict=True):
            axis.annotate(
                f"{_short(row.method)} {row.rank1 * 100:.1f}",
                (gallery, row.rank1 * 100),
                xytext=(1.02, height),
                textcoords=axis.get_yaxis_transform(),
                color=colours.get(row.id, _TEXT),
                fontsize=9.5,
                va="center",
                arrowprops={"arrowstyle": "-", "color": _FAINT, "linewidth": 0.5},
                annotation_clip=False,
                parse_math=False,
            )
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _of_page(out.getvalue().decode("utf-8"))


def _short(name: str) -> str:
    """Cuts a long name, at a blank where there is one."""
    if len(name) <= _LONGEST:
        return name
    kept = name[: _LONGEST - 4]
    words, blank, _ = kept.rpartition(" ")
    return (words if blank else kept) + " ..."


def _spread(heights: list[float], gap: float, top: float = 100.0) -> list[float]:
    """Moves labels upwards, from the lowest, until none covers the one below it, and down where they pass the top."""
    out: list[float] = []
    for height in reversed(heights):
        out.append(max(height, out[-1] + gap) if out else max(height, gap / 2))
    most = top - gap / 2
    for number in range(len(out) - 1, -1, -1):
        out[number] = min(out[number], most)
        most = out[number] - gap
    return out[::-1]


def _of_page(text: str) -> str:
    found = re.search(r"<svg.*</svg>", text, re.DOTALL)
    svg = found[0] if found else ""
    label = 'role="img" aria-label="Rank-1 of rows with rankings against the size of the gallery"'
    svg = svg.replace("<svg ", f"<svg {label} ", 1)
    # in styles alone: a label could hold the same letters
    return re.sub(rf"(?<=: ){_FAINT}", "var(--line)", re.sub(rf"(?<=: ){_TEXT}", "currentColor", svg))
