"""`watch`: evaluates each checkpoint of a training as it appears, and flags what goes wrong."""

from __future__ import annotations

from pathlib import Path

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, terminal_progress
from sysu30k_bench.cli.judge import judge
from sysu30k_bench.cli.options import dataset_option, device_option, json_option
from sysu30k_bench.cli.paths import TypedName, TypedPath
from sysu30k_bench.cli.values import Fraction
from sysu30k_bench.interrupts import INTERRUPTS
from sysu30k_bench.words import count

_FLAGS = ("nan", "collapse", "drop", "unreadable")
_EXAMPLES = (
    ("beside a training of this package or another", "watch runs/byol --data ROOT"),
    (
        "what exists, for a build: leave with 1 where anything is wrong",
        "watch runs/byol --data ROOT --once --fail-on all",
    ),
    ("stop a broken run in the act", "watch runs/byol --data ROOT --fail-on collapse,nan || kill $TRAINING"),
)


class Flags(click.ParamType[tuple[str, ...]]):
    """Names of flags, separated by commas."""

    name = "flags"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """See click."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        if names in {("all",), ("none",)}:
            return _FLAGS if names == ("all",) else ()
        unknown = [name for name in names if name not in _FLAGS]
        if unknown:
            self.fail(f"{unknown[0]!r} is none of {', '.join(_FLAGS)}, all, none", param, ctx)
        return names


@click.command("watch", cls=Command, examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=TypedPath())
@click.option("--data", type=TypedPath(), required=True, show_envvar=True, help="The data set's folder.")
@dataset_option
@click.option("--output", type=TypedPath(), show_envvar=True, help="Folder for the history; RUNS/watch if not given.")
@click.option(
    "--distractors",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    show_envvar=True,
    help="Number of distractors, the same for every checkpoint.",
)
@click.option("--adapter", type=TypedName(), metavar="NAME|FILE.toml", show_envvar=True, help="The checkpoints' card.")
@device_option
@click.option("--every", type=Fraction(0.1), default=30.0, show_default=True, show_envvar=True, help="Seconds.")
@click.option(
    "--fail-on",
    type=Flags(),
    default="none",
    metavar="FLAGS",
    show_default=True,
    show_envvar=True,
    help="Exit with 1 at the first of these: nan, collapse, drop, unreadable; or all.",
)
@click.option(
    "--max-drop",
    type=Fraction(0, 1),
    default=0.01,
    show_default=True,
    show_envvar=True,
    help="A smaller fall of AP is never flagged, even if significant.",
)
@click.option("--once", is_flag=True, show_envvar=True, help="Evaluate the existing checkpoints, and stop.")
@json_option
def watch(
    runs: tuple[Path, ...],
    data: Path,
    dataset: str | None,
    output: Path | None,
    distractors: int,
    adapter: str | None,
    device: str,
    every: float,
    fail_on: tuple[str, ...],
    max_drop: float,
    once: bool,
    as_json: bool,
) -> None:
    """Evaluate each new checkpoint below RUNS with all queries, keep one history, and flag NaN, collapse and drops.

    The same command resumes the history. Effective rank, RankMe and uniformity are compared only within one training.
    """
    judge({"data": data, "device": device, "adapter": adapter})
    missing = [folder for folder in runs if not folder.is_dir()]
    if missing and once:
        raise click.UsageError(f"there is no folder {missing[0]}")
    INTERRUPTS.message = "interrupted; the history is kept, and the same command resumes"
    with loading():
        from sysu30k_bench.training.watch.watch import Watch, WatchRequest

    request = WatchRequest(
        folders=runs,
        data=data,
        output=output or runs[0] / "watch",
        dataset=dataset,
        distractors=distractors,
        adapter=adapter,
        device=device,
        every=every,
        max_drop=max_drop,
        fail_on=fail_on,
    )
    with terminal_progress(quiet=as_json) as progress:
        watcher = Watch(request, progress)
        if once:
            watcher.once()
        else:
            watcher.forever()
    rows = watcher.history.rows
    if as_json:
        click.echo(watcher.history.as_json())
    else:
        rank1 = rows[-1].figures.get("rank1") if rows else None
        last = "" if rank1 is None else f", the last ({rows[-1].name}) with rank-1 {rank1 * 100:.2f}"
        click.echo(f"{count(len(rows), 'checkpoint')} evaluated{last}: {request.output}")
    if watcher.failed is not None:
        click.echo(f"{watcher.failed.name}: {'; '.join(watcher.failed.reasons)}", err=True)
        raise click.exceptions.Exit(1)
