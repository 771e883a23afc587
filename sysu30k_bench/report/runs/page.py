"""One page over many runs; it needs no server and fetches nothing."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from sysu30k_bench.board.site.template import page_environment
from sysu30k_bench.metrics.catalogue import METRICS, MISSES, MetricInfo
from sysu30k_bench.metrics.resolution import SHOWN_DISCORDANCES, said
from sysu30k_bench.report.runs.lines import RunLine, RunList, RunTable, caption
from sysu30k_bench.results.record import RESULT_NAME

_SHOWN = ("ap_standard", "minp", MISSES)


def runs_page(found: RunList, beside: Path, sort: str = "rank1") -> str:
    """Makes the page.

    Args:
        found: The runs.
        beside: The folder that the page will lie in; links to runs are relative to it.
        sort: As the tables of `found` are sorted.

    Returns:
        HTML. Names are escaped; no script but the page's own may run in it.
    """
    lines = [line for table in found.tables for line in table.runs]
    info = METRICS.get(sort)
    return (
        page_environment(resources.files("sysu30k_bench.report.runs"))
        .get_template("runs.html.j2")
        .render(
            tables=[
                (one, caption(one), said(one.queries, SHOWN_DISCORDANCES), _scores(one, sort)) for one in found.tables
            ],
            count=len(lines),
            lost=found.not_listed,
            adapters=sorted({line.adapter for line in lines}),
            datasets=sorted({table.dataset for table in found.tables}),
            sort=sort if sort == "name" or (info is not None and info.better == "lower") else f"-{sort}",
            link=lambda path: _link(path, beside),
            record=lambda line: _link(str(Path(line.folder) / RESULT_NAME), beside),
            words=_words,
        )
    )


def _scores(table: RunTable, sort: str) -> list[MetricInfo]:
    """The columns beside rank-1: those that some run of the table fills, and what it is sorted by."""
    known = {name for line in table.runs for name in line.metrics}
    asked = [sort] if sort in METRICS and sort not in {"rank1", *_SHOWN} else []
    return [METRICS[name] for name in [*_SHOWN, *asked] if name in known]


def _words(line: RunLine) -> str:
    return f"{line.name} {line.method} {line.adapter} {line.checkpoint} {line.created[:10]}"


def _link(path: str, beside: Path) -> str:
    """A relative address, which cannot be one of a scheme."""
    return "./" + quote(Path(os.path.relpath(path, beside)).as_posix())
