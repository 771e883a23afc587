"""The result as a person reads it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from sysu30k_bench.board.practice import other_reasons, sentence_of
from sysu30k_bench.board.rows import Row, neighbours
from sysu30k_bench.cli.console import Room, room, stdout_console
from sysu30k_bench.cli.tables import Column, print_table, table_lines
from sysu30k_bench.errors import plain
from sysu30k_bench.evaluation.splits import SplitSummary
from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.models.matching.fit import WHOLE_MODEL
from sysu30k_bench.models.matching.leftovers import is_bookkeeping
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord, Metrics, Model, OpenSet
from sysu30k_bench.results.titles import TITLES
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME
from sysu30k_bench.words import count

_FRAMED_FROM = 60
_FRAME = 4
_METRICS = (Column("", "name"), Column("%", "number"), Column("95 % interval", "number", goes=1))
_SPLITS = (
    Column("metric", "name"),
    Column("mean %", "number"),
    Column("deviation", "number", goes=1),
    Column("lowest", "number", goes=3),
    Column("highest", "number", goes=2),
)
_BOARD = (Column("method", "name"), Column("rank-1 %", "number"), Column("supervision", goes=1))


def print_metrics(metrics: Metrics, open_set: OpenSet | None = None) -> None:
    """Prints the table of all metrics with their intervals."""
    print_table(_METRICS, _metric_rows(metrics, open_set), bold=(0,))


def _metric_rows(metrics: Metrics, open_set: OpenSet | None) -> list[tuple[str, str, str]]:
    rows = []
    for name, info in METRICS.items():
        metric = getattr(metrics if info.source == "ranks" else open_set, name, None)
        if info.main and metric is not None:
            rows.append((info.title, f"{metric.value * 100:.2f}", f"{metric.low * 100:.2f} to {metric.high * 100:.2f}"))
    if metrics.median_rank is not None:
        middle = metrics.median_rank
        rows.append(("median rank", f"{middle.value:,.1f}", f"{middle.low:,.0f} to {middle.high:,.0f}"))
    return rows


def print_splits(summary: SplitSummary) -> None:
    """Prints the mean over all splits."""
    said = "official" if summary.official else "not official: see the runs"
    rows = []
    for name, spread in summary.metrics.items():
        numbers = (spread.mean, spread.deviation, min(spread.values), max(spread.values))
        rows.append((TITLES[name], *(f"{value * 100:.2f}" for value in numbers)))
    print_table(_SPLITS, rows, title=f"{summary.dataset}, mean of {summary.splits} splits ({said})")


def print_result(record: EvaluationRecord, folder: Path) -> None:
    """Prints a run: the numbers, what they are of, what was unusual, and where the files are.

    On a terminal it has a frame, where there is room for one; in a pipe every fact is a line.
    """
    console, limit = stdout_console(), room()
    framed = limit.width is not None and limit.width >= _FRAMED_FROM
    inside = limit._replace(width=limit.width - _FRAME) if framed and limit.width is not None else limit
    parts: list[Text] = [
        _what(record),
        Text(),
        *table_lines(_METRICS, _metric_rows(record.metrics, record.open_set), inside, bold=(0,)),
    ]
    if record.control is not None:
        control = record.control
        said = f"random weights: rank-1 {control.rank1.value:.2%}, AP (standard) {control.ap_standard.value:.2%}"
        parts += [Text(), Text(said)]
    if record.data.dataset == "sysu30k" and not record.data.drawn:
        parts += [Text(), *_board(record, inside)]
    parts += [Text(), _unusual(record)]
    word, style = ("official", "green") if record.official else ("not official", "yellow")
    if record.data.drawn and not other_reasons(record):
        word, style = "practice run", "cyan"
    if framed:
        title = f"{escape(record.data.dataset)}: [bold {style}]{word}[/bold {style}]"
        console.print(Panel(Group(*parts), title=title, border_style=style, expand=False))
    else:
        console.print(Text(f"{record.data.dataset}: {word}", style=f"bold {style}"))
        for part in parts:
            console.print(part, soft_wrap=bool(part.no_wrap))
    console.print(_files(folder), soft_wrap=True)


def _what(record: EvaluationRecord) -> Text:
    counts, model = record.counts, record.model
    return Text(
        f"{model.title}\n"
        f"{model.checkpoint}, {_network_output(model)}\n"
        f"{count(counts.query, 'query', 'queries')}, {count(counts.gallery, 'gallery image')}, "
        f"{count(counts.matches, 'match', 'matches')}"
    )


def _network_output(model: Model) -> str:
    """The layer, and how much of it came from the file; a whole model names neither layers nor tensors."""
    if model.layout == WHOLE_MODEL:
        return f"the model's own output, {count(model.dimension, 'dimension')}, flip {model.flip}"
    return (
        f"{model.feature}, {count(model.dimension, 'dimension')}, flip {model.flip}, "
        f"{count(model.tensors_loaded, 'tensor')} loaded{_unused(model.tensors_unused)}"
    )


def _unused(names: list[str]) -> str:
    """What of the file the feature does not need; counters and the like are no part of a model."""
    parts = Counter(name.partition(".")[0] for name in names if not is_bookkeeping(name))
    if not parts:
        return ""
    return f", {parts.total():,} of {', '.join(list(parts)[:3])}{' ...' if len(parts) > 3 else ''} not used"


def _board(record: EvaluationRecord, limit: Room) -> list[Text]:
    above, below = neighbours(record.metrics.rank1.value)
    said = "as reported" if record.official else "for orientation only, since this run is not official"
    ours = ("this run", f"{record.metrics.rank1.value * 100:.1f}", record.model.supervision)
    rows = [*map(_row, above), ours, *map(_row, below)]
    return [Text(f"published rows around it ({said})"), *table_lines(_BOARD, rows, limit, bold=(len(above),))]


def _row(row: Row) -> tuple[str, str, str]:
    return row.method, f"{row.rank1 * 100:.1f}", row.supervision


def _unusual(record: EvaluationRecord) -> Text:
    lines = [sentence_of(record)] if record.data.drawn else []
    lines += [f"not official: {reason}" for reason in other_reasons(record)]
    lines += [f"note: {warning}" for warning in record.warnings if warning not in record.not_official_because]
    lines += [f"open set: {reason}" for reason in (record.open_set.not_computed if record.open_set else [])]
    lines.append(f"engine: {record.environment.engine} ({record.environment.engine_reason})")
    return Text("\n".join(map(plain, lines)), style="dim")


def _files(folder: Path) -> Text:
    return Text(
        f"{folder / RESULT_NAME}   the record\n{folder / RANKING_NAME}   every rank\n"
        f"{folder / TOP_NAME}   the best of each query"
    )
