"""Where the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import click

from sysu30k_bench.interrupts import INTERRUPTS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


_SECONDS_BETWEEN_LINES = 10.0
_UNLIMITED = 1_000_000


class Room(NamedTuple):
    """The room for results.

    Attributes:
        width: Columns; None where nothing limits them: in a pipe or a file.
        one_line: Whether a row of a table has to be a line.
    """

    width: int | None
    one_line: bool


def room() -> Room:
    """Returns the room on stdout: a terminal's, or what COLUMNS says."""
    terminal = sys.stdout.isatty()
    said = os.environ.get("COLUMNS", "")
    limited = terminal or (said.isascii() and said.isdigit() and int(said[:6]) > 0)
    return Room(stdout_console().width if limited else None, not terminal)


def stdout_console() -> Console:
    """Returns the console for results; rich honours NO_COLOR, COLUMNS and a stdout that is no terminal."""
    return _console(stderr=False)


def stderr_console() -> Console:
    """Returns the console for everything else."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """Lines are broken for people at a terminal; a program that reads them wants them whole."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    whole = not stream.isatty() and not os.environ.get("COLUMNS")
    return Console(stderr=stderr, highlight=False, width=_UNLIMITED if whole else None)


@contextmanager
def loading(what: str = "torch", module: str = "torch") -> Iterator[None]:
    """Says that something is loaded that takes seconds; a signal meanwhile leaves at once.

    Args:
        what: What is loaded.
        module: The module that takes the time; nothing is said where it exists already.
    """
    if module not in sys.modules and os.environ.get("RANK", "0") == "0":
        click.echo(f"loading {what}", err=True)
    with INTERRUPTS.loading():
        yield


def print_error(message: str) -> None:
    """Prints an error to stderr, as it is."""
    first, _, rest = message.partition("\n")
    click.echo(click.style("error: ", fg="red", bold=True) + first + (f"\n{rest}" if rest else ""), err=True)


class TerminalProgress:
    """Progress on stderr: a bar with speed and time left on a terminal, a line now and then elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = stderr_console()
        self._quiet = quiet
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._state = ("", 0, 0, "")
        self._said = self._began = 0.0

    def begin(self, title: str, total: int, unit: str) -> None:
        """See `Progress`."""
        self._state = (title, 0, total, unit)
        self._began = time.monotonic()
        if self._quiet or not total:
            return
        if self._console.is_terminal:
            self._bar = _bar(self._console, unit)
            self._task = self._bar.add_task(title, total=total)
            self._bar.start()
        else:
            self._console.print(f"{title}: {total:,} {unit}", markup=False)
            self._said = time.monotonic()

    def advance(self, count: int) -> None:
        """See `Progress`."""
        title, done, total, unit = self._state
        self._state = (title, done + count, total, unit)
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)
        elif not self._quiet and total and time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            speed = (done + count) / (self._said - self._began)
            left = timedelta(seconds=round((total - done - count) / speed))
            self._console.print(
                f"{title}: {done + count:,} of {total:,} {unit}, {speed:,.1f} {unit}/s, {left} left", markup=False
            )

    def end(self) -> None:
        """See `Progress`."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def say(self, message: str) -> None:
        """See `Progress`."""
        self._console.print(message, markup=False)


def _bar(console: Console, unit: str) -> RichProgress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: object) -> Text:
            speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
            return Text(f"{speed:,.0f} {unit}/s" if speed else "")

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn()]
    return Progress(*columns, console=console)


@contextmanager
def terminal_progress(*, quiet: bool = False) -> Iterator[TerminalProgress]:
    """Gives a progress display, and clears it whatever happens."""
    progress = TerminalProgress(quiet=quiet)
    try:
        yield progress
    finally:
        progress.end()
        sys.stderr.flush()
