"""A result as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from html import escape
from pathlib import Path

from sysu30k_bench.results.record import EvaluationRecord, Metrics
from sysu30k_bench.results.titles import TITLES
from sysu30k_bench.words import count

_SHOWN = 3


def as_text(name: str, metrics: Metrics, record: EvaluationRecord | None, folder: Path | None) -> str:
    """Lays a result out as a few lines."""
    lines = [_headline(name, metrics, record)]
    lines += [f"  {title:<15} {value:>7}   {interval}" for title, value, interval in _rows(metrics)]
    return "\n".join([*lines, *(f"  {remark}" for remark in _remarks(record, folder))])


def as_html(name: str, metrics: Metrics, record: EvaluationRecord | None, folder: Path | None) -> str:
    """Lays a result out as a table; every name in it is escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(title)}</th><td>{value}</td><td>{escape(interval)}</td></tr>"
        for title, value, interval in _rows(metrics)
    )
    head = "<tr><th></th><th>%</th><th>95 % interval</th></tr>"
    remarks = "".join(f"<div>{escape(remark)}</div>" for remark in _remarks(record, folder))
    return (
        f"<div><strong>{escape(_headline(name, metrics, record))}</strong>"
        f"<table>{head}{rows}</table><small>{remarks}</small></div>"
    )


def _headline(name: str, metrics: Metrics, record: EvaluationRecord | None) -> str:
    queries = count(metrics.rank1.n, "query", "queries")
    if record is None:
        return f"{name}: {queries}"
    status = "official" if record.official else "not official"
    images = count(record.counts.gallery, "gallery image")
    return f"{name} on {record.data.dataset} ({status}): {queries}, {images}"


def _rows(metrics: Metrics) -> list[tuple[str, str, str]]:
    rows = []
    for name, title in TITLES.items():
        metric = getattr(metrics, name)
        interval = f"{metric.low * 100:.2f} to {metric.high * 100:.2f}"
        rows.append((title, f"{metric.value * 100:.2f}", interval))
    middle = metrics.median_rank
    if middle is not None:
        rows.append(("median rank", f"{middle.value:,.1f}", f"{middle.low:,.0f} to {middle.high:,.0f}"))
    return rows


def _remarks(record: EvaluationRecord | None, folder: Path | None) -> list[str]:
    remarks = []
    if record is not None:
        reasons, warnings = record.not_official_because, record.warnings
        remarks += [f"not official: {reason}" for reason in reasons[:_SHOWN]]
        remarks += [f"note: {warning}" for warning in warnings[:_SHOWN] if warning not in reasons]
        more = max(0, len(reasons) - _SHOWN) + max(0, len(warnings) - _SHOWN)
        remarks += [f"{more} more in .record"] if more else []
    if folder is not None:
        remarks.append(f"run folder: {folder}")
    return remarks
