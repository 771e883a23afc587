"""Axes of the report's figures: plain numbers along them, the page's colours, SVG as text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from sysu30k_bench.extras import missing_package

COLOURS = ("#2f8fb3", "#d0762a")
"""Of the run and of the run beside it; both can be read on light and on dark."""
TEXT = "#010203"
"""Stands for the colour of the page's text, in light and in dark."""
_FAINT = "#040506"


def draw(across: str, up: str, fill: Callable[[Any], None], *, log: bool = True) -> str:
    """Draws one figure.

    Args:
        across: Title of the horizontal axis.
        up: Title of the vertical axis.
        fill: Draws on matplotlib's axes.
        log: Whether the horizontal axis is logarithmic.

    Returns:
        An `svg` element. Its text is text; equal input gives equal bytes.

    Raises:
        DataError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, NullFormatter
    except ImportError as error:
        raise missing_package("reports need matplotlib", "matplotlib") from error
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{across}|{up}",
        "font.size": 11,
        "font.family": "sans-serif",
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axis = figure.subplots()
        figure.patch.set_alpha(0)
        axis.patch.set_alpha(0)
        if log:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(across, color=TEXT)
        axis.set_ylabel(up, color=TEXT)
        axis.tick_params(colors=TEXT, which="both")
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["bottom", "left"]].set_color(TEXT)
        axis.grid(axis="y", color=_FAINT, linewidth=0.6)
        axis.set_axisbelow(True)
        fill(axis)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    found = re.search(r"<svg.*</svg>", out.getvalue().decode("utf-8"), re.DOTALL)
    # in styles alone: a label could hold the same letters
    svg = re.sub(rf"(?<=: ){TEXT}", "currentColor", found[0] if found else "")
    return re.sub(rf"(?<=: ){_FAINT}", "var(--line)", svg)


def legend(axis: Any, where: str) -> None:  # noqa: ANN401  matplotlib's axes
    """Names the runs; their names are text and no formulas."""
    made = axis.legend(frameon=False, loc=where, fontsize=10)
    for text in made.get_texts():
        text.set_parse_math(False)
        text.set_color(TEXT)


def label(name: str) -> str:
    """A run's name as a legend takes it: one that starts with an underscore would be hidden."""
    return " " + (name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "...")


_LONGEST = 40


def plain_number(value: float) -> str:
    """A tick's number as it is read: 0.1, 1, 10, 1,000."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
