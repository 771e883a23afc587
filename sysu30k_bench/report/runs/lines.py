"""A run as a line, and lines as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from sysu30k_bench.metrics.catalogue import METRICS
from sysu30k_bench.results.record import Metric
from sysu30k_bench.words import count


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunLine(_Strict):
    """A run.

    Attributes:
        name: Below the folder that was searched.
        folder: Where it is.
        method: Title of its card.
        adapter: Name of its card.
        checkpoint: Name of its weights file.
        group: Number of its group in the table, from 1.
        official: As in the record.
        not_official_because: As in the record.
        metrics: Every metric of the record, by name.
        dimension: Of an embedding.
        images_per_second: Embedded, on the machine of the run.
        machine: That machine.
        created: When it was scored.
        report: Its page, where one exists.
    """

    name: str
    folder: str
    method: str
    adapter: str
    checkpoint: str
    group: int
    official: bool
    not_official_because: list[str]
    metrics: dict[str, Metric]
    dimension: int
    images_per_second: float | None
    machine: str
    created: str
    report: str | None


class RunTable(_Strict):
    """Runs of the same lists, counted by the same rules.

    Attributes:
        dataset: The benchmark's name.
        split: Which of its splits, where there are several.
        drawn: Whether its people are drawn.
        queries: Queries, the damaged ones that were skipped among them.
        gallery: Gallery images searched.
        whole_gallery: Images of the gallery of which a part was searched.
        skipped: Images that were skipped as damaged.
        query_fingerprint: Of the query list.
        gallery_fingerprint: Of the gallery list.
        protocol_sha256: Of the rules of counting.
        resolution: Smallest difference of rank-1 that the exact paired test finds with 80 % power, by the share of
            queries that differ; None where it finds none.
        runs: In the order asked for.
    """

    dataset: str
    split: int | None
    drawn: bool
    queries: int
    gallery: int
    whole_gallery: int | None
    skipped: int
    query_fingerprint: str
    gallery_fingerprint: str
    protocol_sha256: str
    resolution: dict[str, float | None]
    runs: list[RunLine]


class RunList(_Strict):
    """All runs below some folders.

    Attributes:
        tables: By data set, larger galleries first.
        not_listed: Run folders without figures to be trusted: `folder`, `state`, `reason`, `hint`.
    """

    tables: list[RunTable]
    not_listed: list[dict[str, str]]


def caption(table: RunTable) -> str:
    """Names a table: the data set, how many images, and the lists by the first digits of their fingerprints."""
    split = "" if table.split is None else f" split {table.split}"
    of = "" if table.whole_gallery is None else f" of {table.whole_gallery:,}"
    parts = [
        f"{table.dataset}{split}{' (drawn or generated people)' if table.drawn else ''}",
        count(table.queries, "query", "queries"),
        f"{table.gallery:,}{of} gallery images",
    ]
    parts += [f"{count(table.skipped, 'image')} skipped"] if table.skipped else []
    return f"{', '.join(parts)} (lists {table.query_fingerprint[:8]}, {table.gallery_fingerprint[:8]})"


def in_sort(lines: Sequence[RunLine], sort: str) -> list[RunLine]:
    """Sorts runs; those without the value come last, and equal ones keep their order.

    Args:
        lines: Best rank-1 first.
        sort: One of `sorts.SORTS`.
    """
    info = METRICS.get(sort)
    ascending = sort == "name" or (info is not None and info.better == "lower")

    def value(line: RunLine) -> Any:  # noqa: ANN401  a number or a text, one kind for each name
        metric = line.metrics.get(sort)
        return metric.value if metric is not None else getattr(line, sort, None)

    known = [line for line in lines if value(line) is not None]
    return sorted(known, key=value, reverse=not ascending) + [line for line in lines if value(line) is None]
