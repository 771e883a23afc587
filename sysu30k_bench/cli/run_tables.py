"""Tables of many runs."""

from __future__ import annotations

from sysu30k_bench.cli.console import stdout_console
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.metrics.catalogue import METRICS, MISSES
from sysu30k_bench.metrics.resolution import SHOWN_DISCORDANCES, said
from sysu30k_bench.report.runs.lines import RunLine, RunList, RunTable, caption


def print_tables(found: RunList, sort: str) -> None:
    """Prints a table for each list, what so many queries can tell, and the folders that have no figures.

    Args:
        found: The runs.
        sort: As its tables are sorted.
    """
    console = stdout_console()
    for table in found.tables:
        _table(table, sort)
        console.print(f"{said(table.queries, SHOWN_DISCORDANCES)}.\n", markup=False, soft_wrap=True)
    if found.tables:
        console.print(
            "group: not significantly different in rank-1 from the group's best (exact McNemar, Holm over the table)",
            markup=False,
            soft_wrap=True,
        )
    else:
        console.print("no finished run", markup=False)
    for one in found.not_listed:
        hint = f"; {one['hint']}" if one["hint"] else ""
        console.print(f"{one['state']}: {one['folder']}: {one['reason']}{hint}", markup=False, soft_wrap=True)


def _table(table: RunTable, sort: str) -> None:
    misses = any(MISSES in line.metrics for line in table.runs)
    more = sort if sort in METRICS and sort not in {"rank1", "ap_standard", "minp", MISSES} else None
    columns = [
        Column("group", "number", goes=3),
        Column("run", "name"),
        Column("adapter", "name", goes=4),
        Column("rank-1 %", "number"),
        Column("95 % interval", "number", goes=2),
        Column("AP (standard) %", "number", goes=1),
        Column("mINP %", "number", goes=5),
    ]
    columns += [Column(f"{METRICS[MISSES].title}, % (less is better)", "number", goes=6)] if misses else []
    columns += [Column(f"{METRICS[more].title}, %", "number", goes=1)] if more else []
    columns += [
        Column("dimension", "number", goes=8),
        Column("images/s", "number", goes=9),
        Column("official", "name", goes=7),
        Column("scored", "name", goes=7),
    ]
    rows = [_cells(line, misses=misses, more=more) for line in table.runs]
    print_table(columns, rows, title=caption(table))


def _cells(line: RunLine, *, misses: bool, more: str | None) -> list[str]:
    rank1, speed = line.metrics["rank1"], line.images_per_second
    cells = [str(line.group), line.name, line.adapter, _per_cent(line, "rank1")]
    cells += [f"{rank1.low * 100:.2f} to {rank1.high * 100:.2f}", _per_cent(line, "ap_standard")]
    cells += [_per_cent(line, "minp"), *([_per_cent(line, MISSES)] if misses else [])]
    cells += [_per_cent(line, more)] if more else []
    cells += [f"{line.dimension:,}", "" if speed is None else f"{speed:,.1f}"]
    return [*cells, "official" if line.official else "not official", line.created[:10]]


def _per_cent(line: RunLine, name: str) -> str:
    metric = line.metrics.get(name)
    return "" if metric is None else f"{metric.value * 100:.2f}"
