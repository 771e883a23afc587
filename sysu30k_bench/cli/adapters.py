"""`adapters`: the cards."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sysu30k_bench.cli.console import stdout_console
from sysu30k_bench.cli.options import json_option


@click.group()
def adapters() -> None:
    """List and show adapter cards."""


@adapters.command("list")
@json_option
def list_cards(as_json: bool) -> None:
    """List every card that is installed."""
    from rich.markup import escape
    from rich.table import Table

    from sysu30k_bench.models.cards import all_cards

    cards = all_cards()
    if as_json:
        click.echo(json.dumps([card.model_dump(mode="json") for card in cards.values()], indent=1))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("adapter", no_wrap=True)
    table.add_column("method")
    table.add_column("feature", no_wrap=True)
    table.add_column("supervision", no_wrap=True)
    for card in cards.values():
        values = (card.name, card.title, f"{card.feature.kind}, {card.feature.flip}", card.supervision)
        table.add_row(*(escape(value) for value in values))
    stdout_console().print(table)


@adapters.command("show")
@click.argument("name")
@json_option
def show_card(name: str, as_json: bool) -> None:
    """Show one card, NAME or FILE.toml, and the checkpoint layouts that it reads."""
    from sysu30k_bench.models.cards import find_card
    from sysu30k_bench.models.layouts import card_layouts

    card = find_card(name)
    if as_json:
        click.echo(card.model_dump_json(indent=1))
        return
    size, console = card.input, stdout_console()
    lines = [
        f"{card.name}: {card.title}",
        f"supervision: {card.supervision}    licence: {card.licence or 'not given'}",
        f"network: {card.network.source} {card.network.options or ''}".rstrip(),
        f"input: {size.height} x {size.width}, {size.interpolation}, mean {list(size.mean)}, std {list(size.std)}",
        f"feature: {card.feature.kind}, flip {card.feature.flip}",
    ]
    if card.paper is not None:
        lines.append(f"paper: {card.paper.title} {card.paper.url}")
    if card.notes:
        lines.append(f"notes: {card.notes}")
    lines.append("checkpoints:")
    for layout in card_layouts(card):
        mark = "*" if layout.name in card.checkpoint.recognised_by else " "
        lines.append(f"  {mark} {layout.name}: {layout.title}")
    if card.checkpoint.recognised_by:
        lines.append("  (* the card is found by this layout when none is named)")
    console.print("\n".join(lines), markup=False, soft_wrap=True)


@adapters.command("check")
@click.argument("name", required=False)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, show_envvar=True, help="Try every card that is installed.")
@click.option("--markdown", is_flag=True, show_envvar=True, help="Print the table of the documents.")
def check(name: str | None, checkpoint: Path | None, every: bool, markdown: bool) -> None:
    """Try the card NAME (or FILE.toml) on eight drawn images, with CHECKPOINT or with random weights.

    Exits with 1 where a card does not work, and says why.
    """
    from sysu30k_bench.errors import CheckFailedError, UsageError
    from sysu30k_bench.evaluation.check_card import check_card
    from sysu30k_bench.models.cards import all_cards, find_card

    if every == (name is not None):
        raise UsageError("name one card, or give --all")
    cards = list(all_cards().values()) if every else [find_card(str(name))]
    reports = [check_card(card, checkpoint) for card in cards]
    rows = [
        (
            report.card,
            f"{report.layouts}",
            f"{report.parameters / 1e6:,.1f} M",
            f"{report.dimension:,}",
            f"{report.images_per_second:,.0f}",
        )
        if report.dimension
        else (report.card, "", "", "", report.note or "does not work")
        for report in reports
    ]
    headings = ("adapter", "layouts", "parameters", "dimension", "images/s")
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows)]
        click.echo("\n".join(lines))
    else:
        from rich.markup import escape
        from rich.table import Table

        table = Table(*headings, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(escape(value) for value in row))
        stdout_console().print(table)
    faults = [f"{report.card}: {fault}" for report in reports for fault in report.faults]
    if faults:
        raise CheckFailedError(f"{len(faults)} faults", details=faults)
