"""Paths as a user types them: judged before they become a `Path`, which would eat a slash of an address."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from sysu30k_bench.errors import UsageError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def typed_path(text: str, what: str) -> Path:
    """Turns what was typed into a path; `~` is expanded, for a shell leaves it as it is within quotes.

    Args:
        text: As typed.
        what: The argument's name, for messages.

    Raises:
        UsageError: It is empty, or an address.
    """
    if not text.strip():
        raise UsageError(f"{what} is empty", hint="is a variable of the shell unset?")
    if _ADDRESS.match(text):
        if text.lower().startswith("file://"):
            raise UsageError(f"{what}: {text} is an address, not a path", hint="give only the path after file://")
        raise UsageError(
            f"{what}: {text} is an address, not a path; nothing is downloaded here",
            hint="download it first, and give the path of the downloaded file",
        )
    if text.startswith("~") and not Path(Path(text).parts[0]).exists():
        return Path(os.path.expanduser(text))  # noqa: PTH111  an unknown user's home stays as it is typed
    return Path(text)


class TypedPath(click.Path):
    """The type of every argument and option that is a path."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See click."""
        if isinstance(value, str):
            value = typed_path(value, _name(param))
        return Path(os.fsdecode(super().convert(value, param, ctx)))


class TypedName(click.ParamType[str]):
    """A name, or the path of a TOML file: of a card, of a recipe."""

    name = "name|file.toml"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """See click."""
        text = str(value)
        is_path = text.endswith(".toml") or _ADDRESS.match(text) or not text.strip()
        return str(typed_path(text, _name(param))) if is_path else text


def _name(param: click.Parameter | None) -> str:
    if param is None:
        return "the path"
    return param.human_readable_name if isinstance(param, click.Argument) else param.opts[0]
