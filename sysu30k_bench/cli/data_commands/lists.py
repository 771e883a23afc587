"""`data lists`: what the lists say, and how they differ from the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge_data
from sysu30k_bench.cli.options import dataset_option, json_option, split_option
from sysu30k_bench.cli.paths import TypedPath


@click.command("lists")
@click.argument("root", type=TypedPath())
@dataset_option
@split_option
@json_option
def lists(root: Path, dataset: str | None, split: int | None, as_json: bool) -> None:
    """Read the lists below ROOT: counts against the published ones, matches, fingerprints."""
    judge_data(root)
    from sysu30k_bench.data.open_dataset import open_test_set
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
