"""Environment variables that look like options and are none: a misspelt one must not go unnoticed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import click

PREFIX = "SYSU30K_BENCH"
_NO_OPTION = f"{PREFIX}_TRACEBACK"


def unknown_variables(program: click.Command, environment: Mapping[str, str]) -> list[str]:
    """Says which of the tool's variables belong to no option.

    Args:
        program: The group of all commands. Its commands are imported only where such a variable exists.
        environment: Variables by name.
    """
    ours = sorted(name for name in environment if name.startswith(f"{PREFIX}_") and name != _NO_OPTION)
    if not ours:
        return []
    known = set(_variables(program, PREFIX))
    said = []
    for name in ours:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            said.append(f"the environment variable {name} belongs to no option, and is ignored{hint}")
    return said


def _variables(command: click.Command, prefix: str) -> Iterator[str]:
    context = click.Context(command, info_name="", auto_envvar_prefix=prefix)
    for param in command.params:
        if isinstance(param, click.Option) and param.name:
            yield f"{prefix}_{param.name.upper()}"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _variables(below, f"{prefix}_{name.upper().replace('-', '_')}")
