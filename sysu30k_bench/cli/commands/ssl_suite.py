"""`ssl-suite`: is an implementation of a self-supervised method the method that it says it is?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, terminal_progress
from sysu30k_bench.cli.options import json_option
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.values import Fraction

if TYPE_CHECKING:
    from sysu30k_bench.progress import Progress
    from sysu30k_bench.training.ssl.recipe import MethodName
    from sysu30k_bench.training.suite.reference import References

_EXAMPLES = (
    ("this installation's own methods, for some seconds each", "ssl-suite"),
    ("an implementation of yours", "ssl-suite --method byol --candidate my_project.byol:MyBYOL"),
    ("how many planted bugs are found, and how many false alarms there are", "ssl-suite --power"),
)


@click.command("ssl-suite", cls=Command, examples=_EXAMPLES)
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", show_envvar=True, help="May be repeated; all if not given."
)
@click.option(
    "--candidate",
    metavar="MODULE:NAME",
    show_envvar=True,
    help="Function that builds the implementation from (backbone, recipe).",
)
@click.option(
    "--seeds", type=click.IntRange(1, 4), default=2, show_default=True, show_envvar=True, help="Runs of each."
)
@click.option(
    "--alpha",
    type=Fraction(0, 0.5, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    show_envvar=True,
    help="Chance of a false alarm for each method.",
)
@click.option("--reference", type=TypedPath(), show_envvar=True, help="Recorded runs instead of the package's.")
@click.option("--record", type=TypedPath(), show_envvar=True, help="Run the reference again, and write it here.")
@click.option("--power", is_flag=True, show_envvar=True, help="Plant bugs, and print a table of those that are found.")
@json_option
def ssl_suite(
    methods: tuple[str, ...],
    candidate: str | None,
    seeds: int,
    alpha: float,
    reference: Path | None,
    record: Path | None,
    power: bool,
    as_json: bool,
) -> None:
    """Train each method for seconds on drawn people, compare it with recorded runs, and exit with 1 if it deviates.

    Losses, steps, embeddings and retrieval are compared seed by seed. A deviation is a difference larger than that
    between two correct implementations.
    """
    chosen = _methods(methods)
    if candidate is not None and (power or record is not None):
        raise click.UsageError("--candidate goes with neither --power nor --record")
    with loading("torch and lightly"):
        from sysu30k_bench.training.suite.reference import make_references, read_references

    with terminal_progress(quiet=as_json) as progress:
        if record is not None:
            make_references(progress, chosen).write(record)
            click.echo(str(record), err=as_json)
            reference = record if power else reference
            if not power:
                return
        recorded = read_references(reference)
        if power:
            _power(recorded, chosen, progress, as_json=as_json)
            return
        _check(recorded, chosen, candidate, seeds, alpha, progress, as_json=as_json)


def _methods(names: tuple[str, ...]) -> list[MethodName]:
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.training.ssl.recipe import METHODS

    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise UsageError(f"there is no method {unknown[0]!r}", hint=", ".join(METHODS))
    return [method for method in METHODS if method in names] if names else list(METHODS)


def _check(
    recorded: References,
    methods: list[MethodName],
    candidate: str | None,
    seeds: int,
    alpha: float,
    progress: Progress,
    *,
    as_json: bool,
) -> None:
    from sysu30k_bench.training.suite.run import check_methods, named_factory, verdict_as_json
    from sysu30k_bench.training.suite.task import Reference

    factory = named_factory(candidate) if candidate else Reference
    judged = check_methods(methods, factory, seeds=seeds, alpha=alpha, references=recorded, progress=progress)
    if as_json:
        click.echo(json.dumps({one.method: verdict_as_json(one.verdict) for one in judged}, indent=1))
    else:
        for one in judged:
            click.echo(f"{one.method}: {'passed' if one.verdict.passed else 'deviates'}: {one.verdict.reason}")
    if not all(one.verdict.passed for one in judged):
        raise click.exceptions.Exit(1)


def _power(recorded: References, methods: list[MethodName], progress: Progress, *, as_json: bool) -> None:
    import time

    from sysu30k_bench.training.suite.power import table, trials

    began = time.process_time()
    done = list(trials(recorded, progress, methods))
    if as_json:
        click.echo(json.dumps([vars(trial) for trial in done], indent=1))
        return
    click.echo(table(done))
    click.echo(f"\n{len(done)} candidates of two runs; {(time.process_time() - began) / 60:.1f} CPU minutes")
