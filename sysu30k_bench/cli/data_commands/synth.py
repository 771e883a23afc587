"""`data synth`: a synthetic twin of the test set."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.paths import TypedPath


@click.command("synth")
@click.argument("root", type=TypedPath())
@click.option(
    "--identities",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    show_envvar=True,
    help="Queries, each with one match.",
)
@click.option(
    "--distractors",
    type=click.IntRange(0, 5_000_000),
    default=10_000,
    show_default=True,
    show_envvar=True,
    help="Images in 0000others.",
)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "normal", "hard"]),
    default="normal",
    show_default=True,
    show_envvar=True,
    help="Similarity of the people, difference of the cameras.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    show_envvar=True,
    help="Equal seeds draw equal images.",
)
@click.option(
    "--training",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    show_envvar=True,
    help="Number of other identities for a training set, with its lists.",
)
@click.option(
    "--training-images",
    type=click.IntRange(2, 1000),
    default=10,
    show_default=True,
    show_envvar=True,
    help="Images of each training identity, by two cameras.",
)
def synth(
    root: Path,
    identities: int,
    distractors: int,
    difficulty: str,
    seed: int,
    training: int,
    training_images: int,
) -> None:
    """Draw a synthetic twin of the SYSU-30k test set below ROOT, in exactly its layout."""
    from sysu30k_bench.data.synth.twin import TwinRequest, write_twin

    with terminal_progress() as progress:
        images = write_twin(
            root, TwinRequest(identities, distractors, difficulty, seed, training, training_images), progress
        )
    drawn = 2 * identities + distractors + training * training_images
    stdout_console().print(f"{drawn:,} images in {images}", markup=False, soft_wrap=True)
