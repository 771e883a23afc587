"""`data show`: a contact sheet."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import stderr_console, stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge_data
from sysu30k_bench.cli.options import dataset_option, id_offset_option
from sysu30k_bench.cli.paths import TypedPath


@click.command("show")
@click.argument("root", type=TypedPath())
@dataset_option
@id_offset_option
@click.option(
    "--by", type=click.Choice(["bag", "identity"]), show_envvar=True, help="Property that the images of a row share."
)
@click.option(
    "--rows", type=click.IntRange(1, 100), default=8, show_default=True, show_envvar=True, help="Blocks of the picture."
)
@click.option(
    "--columns", type=click.IntRange(1, 50), default=12, show_default=True, show_envvar=True, help="Images in a row."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, show_envvar=True, help="Of the drawing.")
@click.option(
    "--output", type=TypedPath(), default=Path("sheet.png"), show_default=True, show_envvar=True, help="The picture."
)
def show(
    root: Path,
    dataset: str | None,
    id_offset: int | None,
    by: str | None,
    rows: int,
    columns: int,
    seed: int,
    output: Path,
) -> None:
    """Draw samples from ROOT as one picture: a block for each bag of the training set, or each identity of the test.

    Queries have a blue frame; blocks with few images stand side by side.
    """
    judge_data(root)
    from sysu30k_bench.data.benchmarks.sysu30k import is_drawn
    from sysu30k_bench.data.inspect.contact_sheet import draw_sheet
    from sysu30k_bench.data.inspect.survey import sheet_of_bags, sheet_of_people, survey
    from sysu30k_bench.errors import DataError
    from sysu30k_bench.files import write_atomically

    with terminal_progress() as progress:
        found = survey(root, dataset, id_offset=id_offset, progress=progress)
        training = found.training if found.training is not None and found.training.images is not None else None
        test_images = found.images()
        if by == "bag" or (by is None and test_images is None):
            if training is None or training.images is None:
                raise DataError(f"there are no training images in {root}", hint="bags are of the training set")
            content = draw_sheet(training.images, sheet_of_bags(training, rows, columns, seed), columns)
        elif test_images is None:
            raise DataError(f"there is no test set in {root}", hint="draw bags: --by bag")
        else:
            content = draw_sheet(test_images, sheet_of_people(found.parts(), rows, columns, seed), columns)
    write_atomically(output, content)
    stdout_console().print(str(output), markup=False, soft_wrap=True)
    trees = [found.place, found.training.images if found.training is not None else None]
    if not any(is_drawn(tree) for tree in trees if tree is not None):
        stderr_console().print("real people: for this machine only, see the data agreement", markup=False)
