"""`doctor`: what this installation has, lacks, and has twice."""

from __future__ import annotations

import json

import click

from sysu30k_bench.cli.console import loading
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.tables import Column, print_table


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this installation: libraries, FAISS, devices, memory, disk; exits with 3 if evaluation cannot work."""
    with loading():
        from sysu30k_bench.diagnostics.doctor import examine
        from sysu30k_bench.errors import DataError

    findings = examine()
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        print_table((Column("", "name"), Column("what", "name"), Column("found")), findings)
    bad = [finding for finding in findings if finding.state == "bad"]
    if bad:
        raise DataError("this installation cannot evaluate", details=[f"{one.what}: {one.found}" for one in bad])
