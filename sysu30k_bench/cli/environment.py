"""Environment variables that look like options and are none: a misspelt one must not go unnoticed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import click

PREFIX = "SYSU30K_BENCH_"
_NO_OPTION = "TRACEBACK"


def unknown_variables(program: click.Command, environment: Mapping[str, str]) -> list[str]:
    """Says which of the tool's variables belong to no option.

    Args:
        program: The group of all commands. Its commands are imported only where such a variable exists.
        environment: Variables by name.
    """
    ours = sorted(name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX))
    if not any(name != _NO_OPTION for name in ours):
        return []
    known = {_NO_OPTION} | {name for name, _ in _variables(program)}
    meant = {spelt: name for name, spelt in _variables(program)} | {name: name for name in known}
    said = []
    for name in ours:
        if name not in known:
            close = difflib.get_close_matches(name.upper(), meant, n=1, cutoff=0.8)
            hint = f"; did you mean {PREFIX}{meant[close[0]]}?" if close else ""
            said.append(f"the environment variable {PREFIX}{name} belongs to no option, and is ignored{hint}")
    return said


def _variables(command: click.Command, before: str = "") -> Iterator[tuple[str, str]]:
    """Yields each option's variable without the prefix, and the same as one would derive it from the option."""
    context = click.Context(command, info_name="")
    for param in command.params:
        if isinstance(param, click.Option) and param.name and param.allow_from_autoenv:
            for option in (*param.opts, *param.secondary_opts):
                yield before + param.name.upper(), before + _upper(option.lstrip("-"))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _variables(below, f"{before}{_upper(name)}_")


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
