"""`data stats`: what is on the disk, beside what is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge_data
from sysu30k_bench.cli.options import dataset_option, id_offset_option, json_option, split_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.words import count

if TYPE_CHECKING:
    from sysu30k_bench.data.inspect.stats import BagStats, Stats


@click.command("stats")
@click.argument("root", type=TypedPath())
@dataset_option
@split_option
@id_offset_option
@click.option("--picture", type=TypedPath(), show_envvar=True, help="Also draw it, to a .png, .svg or .pdf file.")
@json_option
def stats(
    root: Path, dataset: str | None, split: int | None, id_offset: int | None, picture: Path | None, as_json: bool
) -> None:
    """Count images, identities, cameras and bags at ROOT, and compare them with the published table."""
    judge_data(root)
    from sysu30k_bench.data.inspect.stats_picture import draw_stats
    from sysu30k_bench.data.inspect.survey import stats_of, survey
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.files import write_atomically

    if picture is not None and picture.suffix not in {".png", ".svg", ".pdf"}:
        raise UsageError(f"{picture} does not end in .png, .svg or .pdf")
    with terminal_progress(quiet=as_json) as progress:
        counted = stats_of(survey(root, dataset, split, id_offset, progress))
    if picture is not None:
        write_atomically(picture, draw_stats(counted, picture.suffix[1:]))
    if as_json:
        click.echo(counted.model_dump_json(indent=1))
        return
    console = stdout_console()
    console.print(f"{counted.dataset} in {counted.root}", markup=False, soft_wrap=True)
    _print_parts(counted)
    console.print("\nas published, and on this disk")
    _print_comparison(counted)
    if counted.bags is not None:
        console.print(f"\n{count(counted.bags.bags, 'bag')} by number of images")
        _print_bags(counted.bags)
    for note in counted.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)


_PARTS = (
    Column("part", "name"),
    Column("images", "number"),
    Column("identities", "number"),
    Column("cameras", "number", goes=1),
    Column("distractors", "number", goes=2),
    Column("junk", "number", goes=3),
)
_PUBLISHED = (
    Column("data set", "name"),
    Column("identities", "number"),
    Column("images", "number"),
    Column("cameras", "number", goes=1),
    Column("scene", goes=3),
    Column("annotation", goes=2),
)


def _print_parts(counted: Stats) -> None:
    rows = []
    for part in counted.parts:
        cameras = "unknown" if part.cameras is None else f"{part.cameras:,}"
        numbers = (f"{part.images:,}", f"{part.identities:,}", cameras, f"{part.distractors:,}", f"{part.junk:,}")
        rows.append((part.role, *numbers))
    print_table(_PARTS, rows)


def _print_comparison(counted: Stats) -> None:
    rows = []
    published = dict(counted.others)
    if counted.published is not None:
        published[counted.dataset] = counted.published
    for title, whole in published.items():
        cameras = "countless" if whole.cameras is None else f"{whole.cameras:,}"
        rows.append((title, f"{whole.identities:,}", f"{whole.images:,}", cameras, whole.scene, whole.annotation))
    rows.append(("on this disk", "", f"{counted.images:,}", "", "", ""))
    print_table(_PUBLISHED, rows, bold=(len(rows) - 1,))


def _print_bags(bags: BagStats) -> None:
    rows = [
        (f"{low:,}" if high == low + 1 else f"{low:,} to {high - 1:,}", f"{number:,}")
        for low, high, number in zip(bags.edges, bags.edges[1:], bags.by_images, strict=False)
    ]
    print_table((Column("images", "number"), Column("bags", "number")), rows)
