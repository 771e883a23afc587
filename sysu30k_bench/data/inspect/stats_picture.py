"""The counts as a picture: this data set among the published ones, and its bags by their images."""

from __future__ import annotations

import io
from typing import Any

from sysu30k_bench.data.inspect.stats import Stats
from sysu30k_bench.extras import missing_package

_OWN, _OTHER = "#c0392b", "#7f8c8d"


def draw_stats(stats: Stats, form: str) -> bytes:
    """Draws two or three panels: images, identities, bags.

    Args:
        stats: What to draw.
        form: `png`, `svg` or `pdf`.

    Raises:
        DataError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("pictures need matplotlib", "matplotlib") from error
    panels = 3 if stats.bags else 2
    figure = Figure(figsize=(5 * panels, 4), layout="constrained")
    axes = figure.subplots(1, panels)
    own = {"images": stats.images, "identities": sum(part.identities for part in stats.parts)}
    for axis, what in zip(axes, own, strict=False):
        _compare(axis, stats, what, own[what])
    if stats.bags is not None:
        _histogram(axes[2], stats)
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=120)
    return out.getvalue()


def _compare(axis: Any, stats: Stats, what: str, own: int) -> None:  # noqa: ANN401  matplotlib's axes
    bars = [(title, getattr(whole, what), _OTHER) for title, whole in stats.others.items()]
    if stats.published is not None:
        bars.append((f"{stats.dataset} as published", getattr(stats.published, what), _OTHER))
    bars.append(("on this disk", own, _OWN))
    axis.barh([bar[0] for bar in bars], [max(bar[1], 1) for bar in bars], color=[bar[2] for bar in bars])
    axis.set_xscale("log")
    axis.set_title(what)
    axis.bar_label(axis.containers[0], [f"{bar[1]:,}" for bar in bars], fontsize=7, padding=2)
    axis.margins(x=0.25)


def _histogram(axis: Any, stats: Stats) -> None:  # noqa: ANN401  matplotlib's axes
    bags = stats.bags
    if bags is None:
        return
    labels = [f"{low:,}-{high - 1:,}" for low, high in zip(bags.edges, bags.edges[1:], strict=False)]
    axis.barh(labels, bags.by_images, color=_OWN)
    axis.set_title(f"{bags.bags:,} bags by number of images")
