"""`data verify`: whether everything exists and can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge_data
from sysu30k_bench.cli.options import dataset_option, json_option
from sysu30k_bench.cli.paths import TypedPath

if TYPE_CHECKING:
    from sysu30k_bench.data.inspect.verify import ArchiveReport, ImagesReport
    from sysu30k_bench.progress import Progress

_SHOWN = 20


@click.command("verify")
@click.argument("root", type=TypedPath())
@dataset_option
@click.option("--quick", is_flag=True, show_envvar=True, help="Check archives and lists only; decode no image.")
@json_option
def verify(root: Path, dataset: str | None, quick: bool, as_json: bool) -> None:
    """Check the data set at ROOT: truncated archives, unreadable members, images that do not decode, counts.

    Leaves with 4 where something is damaged or missing.
    """
    judge_data(root)
    from sysu30k_bench.data.inspect.verify import verify_archives

    with terminal_progress(quiet=as_json) as progress:
        archives = verify_archives(root, progress)
        unreadable = any(report.faults for report in archives)
        images, differences = _contents(root, dataset, progress, quick=quick, may_fail=unreadable)
    damaged = unreadable or any(report.damaged for report in images.values())
    if as_json:
        found = {
            "archives": [report.model_dump() for report in archives],
            "images": {name: report.model_dump() for name, report in images.items()},
            "differs_from_published": differences,
            "damaged": damaged,
        }
        click.echo(json.dumps(found, indent=1))
    else:
        lines = [line for report in archives for line in _archive(report)]
        lines += [line for name, report in images.items() for line in _images(name, report, quick=quick)]
        lines += [f"differs from what is published: {line}" for line in differences]
        lines.append("damaged: see above" if damaged else "everything that was checked can be read")
        stdout_console().print("\n".join(lines), markup=False, soft_wrap=True)
    if damaged:
        raise click.exceptions.Exit(4)


def _contents(
    root: Path, dataset: str | None, progress: Progress, *, quick: bool, may_fail: bool
) -> tuple[dict[str, ImagesReport], list[str]]:
    """Looks at the images of whatever exists; beside damaged archives, only as far as they go."""
    from sysu30k_bench.data.benchmarks.published import published_counts
    from sysu30k_bench.data.inspect.survey import survey
    from sysu30k_bench.data.inspect.verify import ImagesReport, verify_images
    from sysu30k_bench.errors import BenchError

    try:
        found = survey(root, dataset, progress=progress)
    except BenchError as error:
        if not may_fail:
            raise
        return {}, [error.message]
    reports: dict[str, ImagesReport] = {}
    differences: list[str] = []
    source = found.images()
    counts = {}
    if found.untested:
        differences.append(f"no test set: {found.untested}")
    for part in found.parts():
        counts[part.role] = len(part)
        unread = quick or source is None
        reports[part.role] = (
            ImagesReport(images=len(part), damaged={}, rotated=0)
            if unread or source is None
            else verify_images(source, part.keys, part.role, progress)
        )
    if found.benchmark is not None:
        differences += published_counts()[found.benchmark.name].compare(counts["query"], counts["gallery"])[1]
    if found.training is not None:
        listed, images = found.training.listed, found.training.images
        if quick or images is None:
            reports["train"] = ImagesReport(images=len(listed), damaged={}, rotated=0)
        else:
            reports["train"] = verify_images(images, listed.keys(range(len(listed))), "train", progress)
        whole = published_counts()["sysu30k"].whole.images
        total = len(listed) + sum(counts.values())
        if total != whole:
            differences.append(f"{total:,} images in all; SYSU-30k publishes {whole:,}")
    return reports, differences


def _archive(report: ArchiveReport) -> list[str]:
    lines = [f"{report.name}: {report.bytes:,} bytes, {report.members:,} files can be reached"]
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  {fault}" for fault in report.faults[:_SHOWN]]
    if len(report.faults) > _SHOWN:
        lines.append(f"  ... and {len(report.faults) - _SHOWN} more")
    return lines


def _images(name: str, report: ImagesReport, *, quick: bool) -> list[str]:
    if quick:
        return [f"{name}: {report.images:,} images listed"]
    lines = [f"{name}: {report.images:,} images, {len(report.damaged):,} do not decode"]
    lines += [f"  {key}: {reason}" for key, reason in list(report.damaged.items())[:_SHOWN]]
    if len(report.damaged) > _SHOWN:
        lines.append(f"  ... and {len(report.damaged) - _SHOWN} more")
    if report.rotated:
        lines.append(f"  {report.rotated:,} carry an EXIF rotation, which the protocol ignores")
    if report.scaled:
        lines.append(f"  {report.scaled:,} have 16 bits a pixel, which are scaled to 8")
    return lines
