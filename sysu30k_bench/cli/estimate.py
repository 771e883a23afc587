"""The estimate of `--dry-run`, printed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import stdout_console

if TYPE_CHECKING:
    from sysu30k_bench.evaluation.plan import Plan


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Prints a plan, for a person or as JSON."""
    if as_json:
        click.echo(plan.model_dump_json(indent=1))
        return
    from rich.filesize import decimal

    time = timedelta(seconds=round(plan.embed_seconds))
    lines = [
        f"{plan.dataset}: {plan.query:,} queries, {plan.gallery:,} gallery images",
        *plan.assumes,
        f"disk: {decimal(plan.disk_bytes)} in {plan.shards} shards of {plan.dimension:,} dimensions; "
        f"{decimal(plan.disk_free_bytes)} free",
        f"memory: about {decimal(plan.memory_bytes)} beside the network",
        f"time: about {time} at {plan.images_per_second:,.1f} images/s, backend {plan.backend} (a trial, one process), "
        "then the search",
        f"run folder: {plan.run_folder}",
    ]
    lines += [f"not official: {reason}" for reason in plan.not_official_because]
    if plan.disk_bytes > plan.disk_free_bytes:
        lines.append("the disk is too small: choose another --output, or --storage float16")
    stdout_console().print("\n".join(lines), markup=False, soft_wrap=True)
