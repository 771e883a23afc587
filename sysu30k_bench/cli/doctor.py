"""`doctor`: what this installation has, lacks, and has twice."""

from __future__ import annotations

import json

import click

from sysu30k_bench.cli.console import stdout_console
from sysu30k_bench.cli.options import json_option


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this installation: libraries, FAISS, devices, memory, disk; exit 3 where evaluation cannot work."""
    from sysu30k_bench.errors import DataError
    from sysu30k_bench.evaluation.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        from rich.markup import escape
        from rich.table import Table

        marks = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "bad": "[red]bad[/red]"}
        table = Table("", "what", "found", box=None, pad_edge=False)
        for finding in findings:
            table.add_row(marks[finding.state], escape(finding.what), escape(finding.found))
        stdout_console().print(table)
    bad = [finding for finding in findings if finding.state == "bad"]
    if bad:
        raise DataError("this installation cannot evaluate", details=[f"{one.what}: {one.found}" for one in bad])
