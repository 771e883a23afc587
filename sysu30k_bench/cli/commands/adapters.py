"""`adapters`: the cards."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from sysu30k_bench.cli.console import loading, stdout_console
from sysu30k_bench.cli.judge import judge_checkpoint
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedName, TypedPath
from sysu30k_bench.cli.tables import Column, print_table
from sysu30k_bench.words import count

_GROUPS = 6

_CARDS = (
    Column("adapter", "name"),
    Column("method", goes=1),
    Column("flip", "name", goes=2),
    Column("held to", goes=3),
)
_CHECKED = (
    Column("adapter", "name"),
    Column("layouts", "number", goes=2),
    Column("parameters", "number", goes=1),
    Column("dimension", "number"),
    Column("images/s", "number"),
    Column("note", goes=3),
)


@click.group()
def adapters() -> None:
    """List and show adapter cards."""


@adapters.command("list")
@click.option(
    "--markdown", is_flag=True, show_envvar=True, help="Print the cards as the Markdown table of docs/adapters.md."
)
@json_option
def list_cards(as_json: bool, markdown: bool) -> None:
    """List every installed card, by family, with the code it was compared with."""
    from sysu30k_bench.models.cards import all_cards

    cards = sorted(all_cards().values(), key=lambda card: (card.family or "other", card.name))
    if as_json:
        click.echo(json.dumps([card.model_dump(mode="json") for card in cards], indent=1))
        return
    if markdown:
        lines = ["| family | adapter | reads | feature, flip | held to |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {card.family or 'other'} | `{card.name}` | {card.title} | {card.feature.kind}, {card.feature.flip} | "
            f"{card.held_to or 'its own tests'} |"
            for card in cards
        ]
        click.echo("\n".join(lines))
        return
    for family in dict.fromkeys(card.family or "other" for card in cards):
        rows = [
            (card.name, card.title, card.feature.flip, card.held_to)
            for card in cards
            if (card.family or "other") == family
        ]
        print_table(_CARDS, rows, title=family)
        stdout_console().print()


@adapters.command("which")
@click.argument("checkpoint", type=TypedPath())
@click.option("--weights", metavar="WHICH", show_envvar=True, help="Which of several copies in the file, as for eval.")
@json_option
def which(checkpoint: Path, weights: str | None, as_json: bool) -> None:
    """Explain CHECKPOINT without evaluating it: its content, the card that reads it, and the assumptions.

    Exits with 1 if no card reads it, or if the user must choose one.
    """
    from sysu30k_bench.errors import CheckFailedError

    judge_checkpoint(checkpoint)
    with loading():
        from sysu30k_bench.models.formats.checkpoint import read_checkpoint
        from sysu30k_bench.models.matching.which import describe_file, require_weights_file

    require_weights_file(checkpoint)
    found = describe_file(read_checkpoint(checkpoint), weights)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
    else:
        lines = [f"{found.file}: {count(found.tensors, 'tensor')}, SHA-256 {found.sha256[:16]}..."]
        lines += [f"  {name}  {number:,}" for name, number in found.groups]
        if found.network is not None and found.input is not None and found.feature is not None:
            size = found.input
            options = ", ".join(f"{key}={value}" for key, value in found.network.options.items())
            lines += [
                f"adapter: {found.adapter} ({found.title})",
                f"  {found.found_by}",
                f"network: {found.network.source.rpartition(':')[2]} {options}".rstrip(),
                f"input: {size.height} x {size.width}, {size.interpolation}, {size.channels.upper()}, "
                f"pixels from 0 to {255 if size.scale == 'byte' else 1}, mean {list(size.mean)}, std {list(size.std)}",
                f"feature: {found.feature.kind}, flip {found.feature.flip}",
                f"weights: {found.weights}"
                + (f"; --weights chooses another: {', '.join(found.other_weights)}" if found.other_weights else ""),
                f"not needed by the feature: {_unused(found.unused)}",
                *(f"note: {note}" for note in found.notes),
            ]
        stdout_console().print("\n".join(lines), markup=False, soft_wrap=True)
    if found.question:
        raise CheckFailedError(found.question[0], details=found.question[1:-1], hint=found.question[-1])


def _unused(names: list[str]) -> str:
    counters = [name for name in names if name.endswith("num_batches_tracked")]
    groups = Counter(".".join(name.split(".")[:2]) for name in names if name not in set(counters))
    parts = [f"{group} ({size:,})" for group, size in groups.most_common(_GROUPS)]
    if len(groups) > _GROUPS:
        parts.append("...")
    if counters:
        parts.append(f"batch norms' counters ({len(counters):,})")
    return f"{count(len(names), 'tensor')}{': ' if parts else ''}{', '.join(parts)}"


@adapters.command("show")
@click.argument("name", type=TypedName())
@json_option
def show_card(name: str, as_json: bool) -> None:
    """Show one card, NAME or FILE.toml, and the checkpoint layouts that it reads."""
    from sysu30k_bench.models.cards import find_card

    card = find_card(name)
    if as_json:
        click.echo(card.model_dump_json(indent=1))
        return
    with loading():
        from sysu30k_bench.models.matching.layouts import card_layouts

    size, console = card.input, stdout_console()
    lines = [
        f"{card.name}: {card.title}",
        f"supervision: {card.supervision}    licence: {card.licence or 'not given'}",
        f"network: {card.network.source} {card.network.options or ''}".rstrip(),
        f"input: {size.height} x {size.width}, {size.interpolation}, mean {list(size.mean)}, std {list(size.std)}",
        f"feature: {card.feature.kind}, flip {card.feature.flip}",
    ]
    if card.held_to:
        lines.append(f"held to: {card.held_to}")
    if card.paper is not None:
        lines.append(f"paper: {card.paper.title} {card.paper.url}")
    if card.notes:
        lines.append(f"notes: {card.notes}")
    lines.append("checkpoints:")
    for layout in card_layouts(card):
        mark = "*" if layout.name in card.checkpoint.marks else " "
        lines.append(f"  {mark} {layout.name}: {layout.title}")
    if card.checkpoint.marks:
        lines.append("  (* the card is found by this layout when none is named)")
    console.print("\n".join(lines), markup=False, soft_wrap=True)


@adapters.command("check")
@click.argument("name", type=TypedName(), required=False)
@click.argument("checkpoint", required=False, type=TypedPath())
@click.option("--all", "every", is_flag=True, show_envvar=True, help="Try every installed card.")
@click.option(
    "--markdown", is_flag=True, show_envvar=True, help="Print the cards as the Markdown table of docs/adapters.md."
)
def check(name: str | None, checkpoint: Path | None, every: bool, markdown: bool) -> None:
    """Try the card NAME (or FILE.toml) on eight drawn images, with CHECKPOINT or with random weights.

    Exits with 1 and the reason if a card does not work.
    """
    from sysu30k_bench.errors import CheckFailedError, UsageError
    from sysu30k_bench.models.cards import all_cards, find_card

    if every == (name is not None):
        raise UsageError("name one card, or give --all")
    cards = list(all_cards().values()) if every else [find_card(str(name))]
    if checkpoint is not None:
        judge_checkpoint(checkpoint)
    with loading():
        from sysu30k_bench.diagnostics.check_card import check_card

    reports = [check_card(card, checkpoint) for card in cards]
    rows = [
        (
            report.card,
            f"{report.layouts}",
            f"{report.parameters / 1e6:,.1f} M",
            f"{report.dimension:,}",
            f"{report.images_per_second:,.0f}",
            "",
        )
        if report.dimension
        else (report.card, "", "", "", "", report.note or "does not work")
        for report in reports
    ]
    if markdown:
        headings = [column.title for column in _CHECKED[:-1]]
        cells = [headings, ["---"] * len(headings), *([*row[:-2], row[-2] or row[-1]] for row in rows)]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        click.echo("\n".join(lines))
    else:
        print_table(_CHECKED, rows)
    faults = [f"{report.card}: {fault}" for report in reports for fault in report.faults]
    if faults:
        raise CheckFailedError(count(len(faults), "fault"), details=faults)
