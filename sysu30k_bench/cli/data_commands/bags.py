"""`data bags`: what the bag file says, and which reading of its labels fits."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge_data
from sysu30k_bench.cli.options import id_offset_option, json_option
from sysu30k_bench.cli.paths import TypedPath


@click.command("bags")
@click.argument("root", type=TypedPath())
@id_offset_option
@click.option("--table", type=TypedPath(), show_envvar=True, help="Also write the bags as CSV.")
@json_option
def bags(root: Path, id_offset: int | None, table: Path | None, as_json: bool) -> None:
    """Read the bags of the training set at ROOT, and compare both readings of their labels with the folders."""
    judge_data(root)
    from sysu30k_bench.data.weak.bags import bags_by_rule, equal_bags
    from sysu30k_bench.data.weak.open_training_set import open_training_set
    from sysu30k_bench.files import write_atomically

    with terminal_progress(quiet=as_json) as progress:
        found = open_training_set(root, id_offset, progress)
    offset = found.id_offset
    ruled = bags_by_rule(int(found.bags.identities.max()) + 1 - offset, offset)
    breaking = int((~equal_bags(found.bags, ruled)).sum())
    sizes = found.bags.sizes(found.listed)
    said = {
        "bags": len(found.bags),
        "id_offset": offset,
        "images": len(found.listed),
        "folders": len(found.listed.folders),
        "without_images": int((sizes == 0).sum()),
        "against_the_rule": breaking,
        "readings": [
            {
                "id_offset": report.id_offset,
                "missing_folders": len(report.missing),
                "first_missing": report.missing[:5],
                "folders_in_no_bag": len(report.unnamed),
                "bags_whose_images_say_so": report.literal,
            }
            for report in found.offsets
        ],
        "notes": found.notes,
    }
    if table is not None:
        write_atomically(table, found.bags.table(found.listed).to_csv(index=False).encode())
    if as_json:
        click.echo(json.dumps(said, indent=1))
        return
    console = stdout_console()
    lines = [f"{name.replace('_', ' ')}: {value:,}" for name, value in said.items() if isinstance(value, int)]
    lines += [
        f"labels + {report.id_offset} as folders: {len(report.missing):,} missing, {len(report.unnamed):,} in no bag, "
        f"BagImages say so in {report.literal:,} bags"
        for report in found.offsets
    ]
    lines += [f"note: {note}" for note in found.notes]
    console.print("\n".join(lines), markup=False, soft_wrap=True)
