"""The result as a person reads it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sysu30k_bench.board.rows import Row, neighbours
from sysu30k_bench.evaluation.splits import SplitSummary
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, Metrics
from sysu30k_bench.results.titles import TITLES
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME


def metrics_table(metrics: Metrics) -> Table:
    """Makes the table of all metrics with their intervals."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("%", "95 % interval"):
        table.add_column(heading, justify="right")
    for name, title in TITLES.items():
        metric = getattr(metrics, name)
        style = "bold" if name == "rank1" else ""
        table.add_row(
            title, f"{metric.value:.2%}"[:-1], f"{metric.low * 100:.2f} to {metric.high * 100:.2f}", style=style
        )
    if metrics.median_rank is not None:
        middle = metrics.median_rank
        table.add_row("median rank", f"{middle.value:,.1f}", f"{middle.low:,.0f} to {middle.high:,.0f}")
    return table


def splits_table(summary: SplitSummary) -> Table:
    """Lays out the mean over all splits."""
    said = "official" if summary.official else "not official: see the runs"
    table = Table(title=f"{summary.dataset}, mean of {summary.splits} splits ({said})", min_width=60)
    for column in ("metric", "mean %", "deviation", "lowest", "highest"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, spread in summary.metrics.items():
        numbers = (spread.mean, spread.deviation, min(spread.values), max(spread.values))
        table.add_row(TITLES[name], *(f"{value * 100:.2f}" for value in numbers))
    return table


def print_result(console: Console, record: EvaluationRecord, folder: Path) -> None:
    """Prints the panel of a run: the numbers, what they are of, what was unusual, and where the files are."""
    parts: list[RenderableType] = [_what(record), Text(), metrics_table(record.metrics)]
    if record.control is not None:
        control = record.control
        said = f"random weights: rank-1 {control.rank1.value:.2%}, AP (standard) {control.ap_standard.value:.2%}"
        parts += [Text(), Text(said)]
    if record.data.dataset == "sysu30k" and not record.data.drawn:
        parts += [Text(), *_board(record)]
    parts += [Text(), _unusual(record)]
    title = "[bold]official[/bold]" if record.official else "[bold yellow]not official[/bold yellow]"
    style = "green" if record.official else "yellow"
    console.print(
        Panel(Group(*parts), title=f"{escape(record.data.dataset)}: {title}", border_style=style, expand=False)
    )
    console.print(_files(folder), soft_wrap=True)


def _what(record: EvaluationRecord) -> Text:
    counts, model = record.counts, record.model
    return Text(
        f"{model.title}\n{model.checkpoint}, {model.feature}, {model.dimension:,} dimensions, flip {model.flip}, "
        f"{model.tensors_loaded} tensors loaded{_unused(model.tensors_unused)}\n"
        f"{counts.query:,} queries, {counts.gallery:,} gallery images, {counts.matches:,} matches"
    )


def _unused(names: list[str]) -> str:
    parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
    return f", {len(names)} of {', '.join(parts[:3])}{' ...' if len(parts) > 3 else ''} not used" if names else ""


def _board(record: EvaluationRecord) -> list[RenderableType]:
    above, below = neighbours(record.metrics.rank1.value)
    said = "as reported" if record.official else "for orientation only, since this run is not official"
    table = Table(box=None, pad_edge=False)
    table.add_column("method")
    table.add_column("rank-1 %", justify="right")
    table.add_column("supervision")
    for row in above:
        table.add_row(*_row(row))
    table.add_row("this run", f"{record.metrics.rank1.value * 100:.1f}", record.model.supervision, style="bold")
    for row in below:
        table.add_row(*_row(row))
    return [Text(f"published rows around it ({said})"), table]


def _row(row: Row) -> tuple[str, str, str]:
    return escape(row.method), f"{row.rank1 * 100:.1f}", row.supervision


def _unusual(record: EvaluationRecord) -> Text:
    lines = [f"not official: {reason}" for reason in record.not_official_because]
    lines += [f"note: {warning}" for warning in record.warnings if warning not in record.not_official_because]
    lines.append(f"engine: {record.environment.engine} ({record.environment.engine_reason})")
    return Text("\n".join(lines), style="dim")


def _files(folder: Path) -> Text:
    return Text(
        f"{folder / RESULT_NAME}   the record\n{folder / RANKING_NAME}   every rank\n"
        f"{folder / TOP_NAME}   the best of each query"
    )
