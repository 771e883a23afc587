"""Errors for the user, each with the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

SHOWN_DETAILS = 20
LONGEST_TEXT = 4000


def plain(text: str) -> str:
    """Returns a text with escapes for what a terminal or a log would act on: control characters, and half letters.

    Names in a stranger's file can be commands of a terminal, or look like a line of this program's own.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def _said(text: str) -> str:
    """A text as a message shows it: plain, and without the middle of what a stranger made longer than a screen."""
    shown = plain(text)
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[: LONGEST_TEXT - 200]} ... {shown[-200:]}"


class BenchError(Exception):
    """A failure that the user can act on.

    Args:
        message: The fault and its place.
        hint: The remedy.
        details: Names concerned (files, keys, tensors), one per line; the first 20 are shown and the rest counted.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str | None = None, details: Iterable[str] = ()) -> None:
        self.message = _said(message)
        super().__init__(self.message)
        self.hint = None if hint is None else _said(hint)
        self.details = [_said(detail) for detail in details]

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  {detail}" for detail in self.details[:SHOWN_DETAILS]]
        if len(self.details) > SHOWN_DETAILS:
            lines.append(f"  ... and {len(self.details) - SHOWN_DETAILS} more")
        if self.hint:
            lines.append(f"What to do: {self.hint}")
        return "\n".join(lines)


class CheckFailedError(BenchError):
    """A gate or a check failed."""

    exit_code = 1


class UsageError(BenchError):
    """The arguments are invalid or contradict each other."""

    exit_code = 2


class DataError(BenchError):
    """Data, a device, disk space or an optional package is missing."""

    exit_code = 3


class UnwritableError(DataError):
    """The system refused to write: no fault of what was read."""


class IntegrityError(BenchError):
    """A file is not what it claims to be: it is damaged, truncated, hostile or of another run."""

    exit_code = 4
