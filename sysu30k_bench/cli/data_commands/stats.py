"""`data stats`: what is on the disk, beside what is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.options import dataset_option, id_offset_option, json_option, split_option

if TYPE_CHECKING:
    from rich.table import Table

    from sysu30k_bench.data.stats import BagStats, Stats


@click.command("stats")
@click.argument("root", type=click.Path(path_type=Path))
@dataset_option
@split_option
@id_offset_option
@click.option(
    "--picture", type=click.Path(path_type=Path), show_envvar=True, help="Draw it, too: a .png, .svg or .pdf file."
)
@json_option
def stats(
    root: Path, dataset: str | None, split: int | None, id_offset: int | None, picture: Path | None, as_json: bool
) -> None:
    """Count images, identities, cameras and bags at ROOT, and put them into the published table of comparison."""
    from sysu30k_bench.data.stats_picture import draw_stats
    from sysu30k_bench.data.survey import stats_of, survey
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
    console.print(_parts(counted))
    console.print("as published, and on this disk")
    console.print(_comparison(counted))
    if counted.bags is not None:
        console.print(f"{counted.bags.bags:,} bags by number of images")
        console.print(_bags(counted.bags))
    for note in counted.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)


def _parts(counted: Stats) -> Table:
    from rich.table import Table

    table = Table()
    for column in ("part", "images", "identities", "cameras", "distractors", "junk"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in counted.parts:
        cameras = "unknown" if part.cameras is None else f"{part.cameras:,}"
        numbers = (f"{part.images:,}", f"{part.identities:,}", cameras, f"{part.distractors:,}", f"{part.junk:,}")
        table.add_row(part.role, *numbers)
    return table


def _comparison(counted: Stats) -> Table:
    from rich.table import Table

    table = Table()
    for column in ("data set", "identities", "images", "cameras", "scene", "annotation"):
        table.add_column(column, justify="right" if column in {"identities", "images", "cameras"} else "left")
    rows = dict(counted.others)
    if counted.published is not None:
        rows[counted.dataset] = counted.published
    for title, whole in rows.items():
        cameras = "countless" if whole.cameras is None else f"{whole.cameras:,}"
        table.add_row(title, f"{whole.identities:,}", f"{whole.images:,}", cameras, whole.scene, whole.annotation)
    table.add_row("on this disk", "", f"{counted.images:,}", style="bold")
    return table


def _bags(bags: BagStats) -> Table:
    from rich.table import Table

    table = Table()
    table.add_column("images", justify="right")
    table.add_column("bags", justify="right")
    for low, high, count in zip(bags.edges, bags.edges[1:], bags.by_images, strict=False):
        table.add_row(f"{low:,}" if high == low + 1 else f"{low:,} to {high - 1:,}", f"{count:,}")
    return table
