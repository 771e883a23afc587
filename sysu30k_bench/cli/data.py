"""`data`: the test sets."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.options import dataset_option, json_option, split_option


@click.group()
def data() -> None:
    """Look at a test set, or draw a synthetic one."""


@data.command("synth")
@click.argument("root", type=click.Path(path_type=Path))
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
    help="How alike people are, how much cameras differ.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    show_envvar=True,
    help="Equal seeds draw equal images.",
)
def synth(root: Path, identities: int, distractors: int, difficulty: str, seed: int) -> None:
    """Draw a synthetic twin of the SYSU-30k test set below ROOT, in exactly its layout."""
    from sysu30k_bench.data.synth.twin import TwinRequest, write_twin

    with terminal_progress() as progress:
        images = write_twin(root, TwinRequest(identities, distractors, difficulty, seed), progress)
    stdout_console().print(f"{2 * identities + distractors:,} images in {images}", markup=False, soft_wrap=True)


@data.command("lists")
@click.argument("root", type=click.Path(path_type=Path))
@dataset_option
@split_option
@json_option
def lists(root: Path, dataset: str | None, split: int | None, as_json: bool) -> None:
    """Read the lists below ROOT: counts against the published ones, matches, fingerprints."""
    from sysu30k_bench.data.open import open_test_set
    from sysu30k_bench.data.protocol import relevance

    with terminal_progress(quiet=as_json) as progress:
        test_set = open_test_set(root, dataset, split, progress)
    query, gallery = test_set.query, test_set.gallery
    rel = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    found = {
        "dataset": test_set.dataset,
        "root": str(test_set.root),
        "query": len(query),
        "gallery": len(gallery),
        "matches": len(rel.match_query),
        "queries_without_match": int((rel.match_counts == 0).sum()),
        "query_fingerprint": query.fingerprint,
        "gallery_fingerprint": gallery.fingerprint,
        "notes": test_set.warnings,
        "differs_from_published": test_set.not_official,
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    lines = [
        f"{name.replace('_', ' ')}: {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')}: {value}"
        for name, value in found.items()
        if not isinstance(value, list)
    ]
    lines += [f"note: {line}" for line in test_set.warnings]
    lines += [f"differs from what is published: {line}" for line in test_set.not_official]
    stdout_console().print("\n".join(lines), markup=False, soft_wrap=True)
