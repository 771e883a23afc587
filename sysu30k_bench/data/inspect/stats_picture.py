"""The counts as a picture: this data set among the published ones, and its bags by their images."""

from __future__ import annotations

import io
from typing import Any

from sysu30k_bench.data.inspect.stats import BagStats, Stats
from sysu30k_bench.extras import missing_package

_OWN, _OTHER, _TEXT, _SOFT = "#d0762a", "#8fa3ad", "#1d2327", "#5d6870"


def draw_stats(stats: Stats, form: str) -> bytes:
    """Draws two or three panels: images, identities, bags.

    Args:
        stats: What to draw.
        form: `png`, `svg` or `pdf`.

    Raises:
        DataError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("pictures need matplotlib", "matplotlib") from error
    with mpl.rc_context({"font.size": 11, "svg.fonttype": "none"}):
        rows = 2 if stats.bags else 1
        figure = Figure(figsize=(12, 4.6 * rows), layout="constrained")
        grid = figure.add_gridspec(rows, 2)
        identities = _identities(stats)
        figure.suptitle(
            f"{stats.dataset}: {stats.images:,} images and {identities:,} identities on this disk",
            fontsize=15,
            fontweight="bold",
            color=_TEXT,
            parse_math=False,
        )
        _compare(figure.add_subplot(grid[0, 0]), stats, "images", stats.images)
        _compare(figure.add_subplot(grid[0, 1]), stats, "identities", identities)
        if stats.bags is not None:
            _histogram(figure.add_subplot(grid[1, :]), stats.bags)
        out = io.BytesIO()
        figure.savefig(out, format=form, dpi=130, facecolor="white")
    return out.getvalue()


def _identities(stats: Stats) -> int:
    """Those of the training set, and those of the test set, whose query and gallery show the same people."""
    trained = sum(part.identities for part in stats.parts if part.role == "train")
    return trained + max((part.identities for part in stats.parts if part.role != "train"), default=0)


def _compare(axis: Any, stats: Stats, what: str, own: int) -> None:  # noqa: ANN401  matplotlib's axes
    """Bars in order of size, so that the eye finds the own one among them."""
    bars = [(title, getattr(whole, what), _OTHER) for title, whole in stats.others.items()]
    if stats.published is not None:
        bars.append((f"{stats.dataset} as published", getattr(stats.published, what), _SOFT))
    bars.append(("on this disk", own, _OWN))
    bars.sort(key=lambda bar: bar[1])
    axis.barh([bar[0] for bar in bars], [max(bar[1], 1) for bar in bars], color=[bar[2] for bar in bars])
    axis.set_xscale("log")
    axis.set_xlim(1, max(bar[1] for bar in bars) ** 1.35 + 10)  # room for the numbers behind the bars
    axis.set_title(what, loc="left", color=_TEXT)
    axis.set_xlabel("on a logarithmic scale", color=_SOFT, fontsize=9.5, loc="left")
    axis.bar_label(axis.containers[0], [f"{bar[1]:,}" for bar in bars], fontsize=9.5, padding=4, color=_TEXT)
    axis.set_xticks([], [])
    axis.set_xticks([], minor=True)
    _plain(axis)
    for mark, bar in zip(axis.get_yticklabels(), bars, strict=True):
        mark.set_fontweight("bold" if bar[2] == _OWN else "normal")


def _histogram(axis: Any, bags: BagStats) -> None:  # noqa: ANN401  matplotlib's axes
    pairs = zip(bags.edges, bags.edges[1:], strict=False)
    labels = [f"{low:,}" if high == low + 1 else f"{low:,} to\n{high - 1:,}" for low, high in pairs]
    axis.bar(labels, bags.by_images, color=_OWN)
    axis.bar_label(axis.containers[0], [f"{number:,}" if number else "" for number in bags.by_images], fontsize=9.5)
    axis.set_title(f"{bags.bags:,} bags by their number of images; median {bags.median:,.0f}", loc="left", color=_TEXT)
    axis.yaxis.set_visible(False)
    _plain(axis)


def _plain(axis: Any) -> None:  # noqa: ANN401  matplotlib's axes
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axis.tick_params(length=0, colors=_TEXT)
